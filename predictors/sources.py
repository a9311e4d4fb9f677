"""Known devices, as what they say of any architecture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from predictors.additive import Additive
from predictors.encoding import Features
from predictors.latency import LatencyPredictor
from predictors.latency_features import OperatorParts
from predictors.learners import Process
from predictors.threads import one_thread
from predictors.transfer_features import Standard

Floats = NDArray[np.float64]
Rows = NDArray[np.integer]
CHUNK = 4096  # rows asked at once: bounds the memory of their features


class Sources(Protocol):
    """Rows (n, G) -> log latencies in ms (n, S) on S known devices."""

    def __call__(self, X: Rows) -> Floats: ...


class LearntSources:
    """Devices on which some architectures were measured whole: for each the mean of a cost that adds up and of a Gaussian
    process. The first is right of devices that take operators one after the other, the second where they overlap.

    What they say of a row that they were learnt from is what they say without it: it is as wrong there as elsewhere.

    Args:
        features: of the architectures.
        X: (n, G) what was measured.
        ms: (n, S) latencies.
    """

    @one_thread
    def __init__(self, features: Features, X: Rows, ms: Floats) -> None:
        self._parts = OperatorParts(features)
        F, near = self._parts(X)
        self._scale = Standard(near)
        Z = self._scale(near)
        self._sums = [Additive().fit(F, Z, y) for y in np.log(ms).T]
        self._processes = [Process().fit(F, Z, y) for y in np.log(ms).T]
        left = [(one.left + other.left) / 2 for one, other in zip(self._sums, self._processes, strict=True)]
        self._left = dict(zip(map(_key, X), np.stack(left, axis=1), strict=True))

    @one_thread
    def __call__(self, X: Rows) -> Floats:
        """See `Sources`."""
        found = []
        for start in range(0, max(len(X), 1), CHUNK):
            F, near = self._parts(X[start : start + CHUNK])
            Z = self._scale(near)
            distance = self._processes[0].distances(Z)  # all have seen the same rows
            guesses = [
                (one.predict(F, Z) + other.at(distance)) / 2
                for one, other in zip(self._sums, self._processes, strict=True)
            ]
            found.append(np.stack(guesses, axis=1))
        said = np.concatenate(found)
        for i, key in enumerate(map(_key, X)):
            if key in self._left:
                said[i] = self._left[key]
        return said


class RememberedSources:
    """What sources say of some rows, asked once: for benches, which ask the same ones many times.

    Args:
        sources: whom to ask.
        X: (n, G) all rows that will be asked about.
    """

    def __init__(self, sources: Sources, X: Rows) -> None:
        self._said = sources(X)
        self._place = {_key(row): i for i, row in enumerate(X)}

    def __call__(self, X: Rows) -> Floats:
        """See `Sources`."""
        return self._said[[self._place[key] for key in map(_key, X)]]


class TableSources:
    """Devices that have latency tables for one space."""

    def __init__(self, predictors: Sequence[LatencyPredictor]) -> None:
        self._predictors = list(predictors)

    def __call__(self, X: Rows) -> Floats:
        """See `Sources`."""
        rows = np.asarray(X, dtype=np.int16)
        return np.stack([np.log(np.asarray(one.predict(rows).mean_ms)) for one in self._predictors], axis=1)


def _key(row: Rows) -> bytes:
    return np.asarray(row, np.int64).tobytes()
