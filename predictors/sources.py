"""Known devices, as what they say of any architecture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from predictors.cell_features import CellFeatures
from predictors.encoding import Features
from predictors.latency import LatencyPredictor
from predictors.learners import Ridge
from predictors.threads import one_thread
from predictors.transfer_features import Standard, operator_columns

Floats = NDArray[np.float64]
Rows = NDArray[np.integer]


class Sources(Protocol):
    """Rows (n, G) -> log latencies in ms (n, S) on S known devices."""

    def __call__(self, X: Rows) -> Floats: ...

    def alike(self, device: int) -> list[int]:
        """Devices that are hardly another one than ``device``, itself included (another batch size of it)."""
        ...


class LearntSources:
    """Devices on which some architectures were measured whole: a ridge regression each, on operators and pairs of them.

    Args:
        features: of the architectures.
        X: (n, G) what was measured.
        ms: (n, S) latencies.
        names: of the devices, ``device_setting``; those that agree before the underscore are alike.
    """

    @one_thread
    def __init__(self, features: Features, X: Rows, ms: Floats, names: Sequence[str]) -> None:
        self._features = features
        self._families = [name.split("_")[0] for name in names]
        F = self._columns(X)
        self._scale = Standard(F)
        Z = self._scale(F)
        self._models = [Ridge().fit(F, Z, np.log(latencies)) for latencies in ms.T]

    @one_thread
    def __call__(self, X: Rows) -> Floats:
        """See `Sources`."""
        F = self._columns(X)
        Z = self._scale(F)
        return np.stack([model.predict(F, Z) for model in self._models], axis=1)

    def alike(self, device: int) -> list[int]:
        """See `Sources`."""
        return [i for i, family in enumerate(self._families) if family == self._families[device]]

    def _columns(self, X: Rows) -> Floats:
        blocks = [block for block, _ in operator_columns(self._features, X)]
        columns = [blocks[-1]]
        if isinstance(self._features, CellFeatures):  # few enough edges for all pairs of them
            edges, codes = len(self._features.cell.edges), len(self._features.cell.operations)
            one_hot = blocks[1][:, : edges * codes].reshape(len(X), edges, codes)
            pairs = [one_hot[:, a, :, None] * one_hot[:, b, None, :] for a in range(edges) for b in range(a)]
            columns += [0.5 * pair.reshape(len(X), -1) for pair in pairs]
        return np.concatenate(columns, axis=1)


class TableSources:
    """Devices that have latency tables for one space."""

    def __init__(self, predictors: Sequence[LatencyPredictor]) -> None:
        self._predictors = list(predictors)

    def __call__(self, X: Rows) -> Floats:
        """See `Sources`."""
        rows = np.asarray(X, dtype=np.int16)
        return np.stack([np.log(np.asarray(one.predict(rows).mean_ms)) for one in self._predictors], axis=1)

    def alike(self, device: int) -> list[int]:
        """See `Sources`."""
        return [device]
