"""Latency on one device, from some hundreds of whole networks that were measured there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from predictors.errors import PredictorError
from predictors.latency_features import LatencyFeatures, OperatorParts, latency_features_from
from predictors.learners import known_learners
from predictors.scaling import FeatureScale
from predictors.stack import Stack
from predictors.storage import read_fitted, write_fitted
from predictors.threads import one_thread

Floats = NDArray[np.float64]
KIND = "in-device-latency"  # of its files
CHUNK = 1024  # rows predicted at once: so that their features stay near the processor
FEWEST = 10
FOLDS = 5
LATENCY_STACK = ("additive", "process", "boosted")


class InDevicePredictor:
    """A cost that adds up, a Gaussian process and boosted trees, of log latencies.

    They are weighed by what they guess of rows left out (`Stack`): where a device takes its operators one after the other
    the sum is all but exact, where it fuses, skips or overlaps them the others take over. Deterministic for given rows,
    latencies and seed.

    Args:
        features: of the rows; see `LatencyFeatures`.
        seed: of the folds and the trees.
        learners: names of `LEARNERS`, at least one.
    """

    def __init__(self, features: LatencyFeatures, seed: int = 0, learners: Sequence[str] = LATENCY_STACK) -> None:
        self._features = features
        self._seed = seed
        self._names = tuple(learners)
        self._stack: Stack | None = None

    @one_thread
    def fit(self, X: NDArray[Any], ms: Floats, groups: NDArray[np.integer] | None = None) -> InDevicePredictor:
        """Learn from rows (n, G) and latencies (n,) in any unit, positive, n >= `FEWEST`. PredictorError otherwise.

        ``groups`` (n,): numbers of groups, at least two, where those of groups never seen are to be predicted (see `Stack`).
        """
        ms = np.asarray(ms, dtype=np.float64)
        if np.ndim(X) != 2 or X.shape[1] != self._features.columns:
            raise PredictorError(f"X: expected rows of {self._features.columns} columns, got shape {np.shape(X)}")
        if len(X) < FEWEST:
            raise PredictorError(f"X: at least {FEWEST} measured rows are needed, got {len(X)}")
        if ms.shape != (len(X),) or not (np.isfinite(ms) & (ms > 0)).all():
            raise PredictorError(f"ms: expected {len(X)} positive latencies, one a row, got shape {ms.shape}")
        if groups is not None and (np.shape(groups) != ms.shape or len(np.unique(groups)) < 2):
            raise PredictorError(
                f"groups: expected {len(X)} numbers of at least 2 groups, got shape {np.shape(groups)}"
            )
        self._seen = {"rows": np.asarray(X), "ms": ms} | ({} if groups is None else {"groups": np.asarray(groups)})
        parts, near = self._features(X)
        self._scaled = FeatureScale(near, self._features.genes)
        stack = Stack(self._seed, self._names, FOLDS, uneven=True)
        self._stack = stack.fit(parts, self._scaled(near), np.log(ms), groups)
        return self

    @one_thread
    def predict(self, X: NDArray[Any]) -> tuple[Floats, Floats]:
        """(n,) log latencies of rows (n, G) and their standard deviations, so wide that +- 1.645 of it hold 90 %.
        PredictorError before `fit`."""
        if self._stack is None:
            raise PredictorError("InDevicePredictor.predict: call fit(X, ms) first")
        mean, std = np.zeros(len(X)), np.zeros(len(X))
        for start in range(0, len(X), CHUNK):
            rows = slice(start, start + CHUNK)
            parts, near = self._features(X[rows])
            mean[rows], std[rows] = self._stack.predict(parts, self._scaled(near))
        return mean, std

    def save(self, path: str | Path) -> None:
        """Writes what it was fitted to (no pickle), from which `load` fits it again. PredictorError before `fit`."""
        if self._stack is None:
            raise PredictorError("InDevicePredictor.save: call fit(X, ms) first")
        facts = {"features": self._features.definition, "seed": self._seed, "learners": list(self._names)}
        write_fitted(Path(path), KIND, facts, self._seen)

    @classmethod
    def load(cls, path: str | Path) -> InDevicePredictor:
        """The predictor that `save` wrote: it gives the same predictions.

        Raises:
            PredictorError: the file is none, or names features or learners that are not known; SpaceError: or a space.
        """
        facts = {"features": dict, "seed": int, "learners": list}
        header, arrays = read_fitted(Path(path), KIND, facts, {"rows": 2, "ms": 1}, {"groups": 1})
        names = known_learners(path, header["learners"])
        features = latency_features_from(header["features"])
        if isinstance(features, OperatorParts) and arrays["rows"].dtype.kind != "i":
            raise PredictorError(f"{path}: rows: got {arrays['rows'].dtype}; legal: integers")
        return cls(features, header["seed"], names).fit(arrays["rows"], arrays["ms"], arrays.get("groups"))
