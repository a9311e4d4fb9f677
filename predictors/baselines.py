"""What a latency on a new device is usually predicted by: the most similar device, a line through all, or operators alone.

The three local reference lines of transfer: a predictor that does not beat them is not worth its cost.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from predictors.encoding import Features
from predictors.learners import Ridge
from predictors.sources import Sources
from predictors.transfer_features import OperatorBlocks, Standard

Floats = NDArray[np.float64]
Rows = NDArray[np.integer]


class _Line:
    """Ridge regression of log latency on columns; the standard deviation is that of what is left on the samples."""

    def _columns(self, X: Rows) -> Floats:
        raise NotImplementedError

    def choose(self, X: Rows, count: int) -> NDArray[np.int64]:
        """The first ``count`` rows: nothing is chosen."""
        return np.arange(count)

    def fit(self, X: Rows, ms: Floats) -> _Line:
        """Learn from rows (n, G) and latencies (n,) in ms."""
        Z, y = self._columns(X), np.log(ms)
        self._model = Ridge().fit(Z, Z, y)
        self._left = float(np.std(y - self._model.predict(Z, Z), ddof=1)) + 1e-6
        return self

    def predict(self, X: Rows) -> tuple[Floats, Floats]:
        """(n,) log latencies in ms and their standard deviations."""
        Z = self._columns(X)
        return self._model.predict(Z, Z), np.full(len(X), self._left)


class LinearTransfer(_Line):
    """A line through what all known devices say."""

    def __init__(self, sources: Sources, reference: Rows) -> None:
        self._sources, self._scale = sources, Standard(sources(reference))

    def _columns(self, X: Rows) -> Floats:
        return self._scale(self._sources(X))


class OperatorTransfer(_Line):
    """Operators alone: what is known of other devices is not used."""

    def __init__(self, features: Features, reference: Rows) -> None:
        self._blocks = OperatorBlocks(features, reference)

    def _columns(self, X: Rows) -> Floats:
        return self._blocks(X)[-1]


class ProxyTransfer(_Line):
    """The known device whose ranks agree best with the samples, and a line through it."""

    def __init__(self, sources: Sources) -> None:
        self._sources, self._best = sources, 0

    def fit(self, X: Rows, ms: Floats) -> ProxyTransfer:
        """See `_Line.fit`."""
        from scipy.stats import spearmanr  # late: it takes long to import

        known = self._sources(X)
        self._best = int(np.argmax([np.nan_to_num(spearmanr(column, ms)[0]) for column in known.T]))
        super().fit(X, ms)
        return self

    def _columns(self, X: Rows) -> Floats:
        return self._sources(X)[:, [self._best]]
