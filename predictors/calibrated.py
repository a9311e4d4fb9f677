"""Latency on a device that has no table, from a few whole networks measured there and the tables of other devices."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from predictors.ceiling import COVERED
from predictors.encoding import features_of
from predictors.errors import PredictorError
from predictors.latency import LatencyPrediction, LatencyPredictor, errors_of
from predictors.sources import TableSources
from predictors.transfer import TransferPredictor
from predictors.translation import Translation, moved
from search_spaces.architecture import Architecture
from search_spaces.space import SearchSpace

if TYPE_CHECKING:
    from hardware.table import LatencyTable

Floats = NDArray[np.float64]
Rows = NDArray[np.int16]
REFERENCE = 400
CHUNK = 4096  # rows predicted at once: bounds the memory of their features
FEWEST = 3  # measurements that a fit needs


class CalibratedPredictor:
    """Few-shot transfer (see `TransferPredictor`) from latency tables, asked like a `LatencyPredictor`.

    Deterministic: the same tables and measurements give the same predictions.

    Args:
        space: whose architectures are asked about.
        tables: of the known devices, at least one.

    Attributes:
        sources: what the known devices say; see `Sources`.

    Raises:
        PredictorError: there is no table; one is stale, or lacks an operator of the space.
    """

    def __init__(self, space: SearchSpace, tables: Sequence[LatencyTable]) -> None:
        if not tables:
            raise PredictorError("tables: got none; legal: latency tables of one or more known devices")
        self._space = space
        self.sources = TableSources([LatencyPredictor(space, table) for table in tables])
        reference = space.sample(REFERENCE, np.random.default_rng(0))
        self._transfer = TransferPredictor(self.sources, features_of(space), reference)
        self._translate: Translation | None = None

    def of(self, space: SearchSpace) -> CalibratedPredictor:
        """The same predictor, asked by rows of another space whose networks its own space has.

        Raises:
            PredictorError: that space has others.
        """
        asked = copy.copy(self)
        asked._translate = None if space.definition == self._space.definition else Translation(space, self._space)
        return asked

    def choose(self, rows: Rows, count: int, measured: Rows | None = None) -> NDArray[np.int64]:
        """Which ``count`` of rows (n, G) to measure, best first, where ``measured`` (m, G) are known by then."""
        return self._transfer.choose(rows, count, measured)

    def fit(self, rows: Rows, ms: Floats) -> CalibratedPredictor:
        """Learn from rows (n, G) measured on the new device, ms (n,), n >= `FEWEST`. PredictorError otherwise."""
        self._rows, self._ms = rows, np.asarray(ms, dtype=np.float64)
        self._transfer.fit(self._rows, self._ms)
        return self

    def predict(self, X: Rows) -> LatencyPrediction:
        """Latencies of canonical rows (n, G), vectorised, with their 90 % intervals. PredictorError before `fit`."""
        rows = X if self._translate is None else self._translate(X)
        parts = [self._transfer.predict(rows[start : start + CHUNK]) for start in range(0, max(len(rows), 1), CHUNK)]
        mean, std = (np.concatenate(part) for part in zip(*parts, strict=True))
        return from_logs(mean, std)

    def ms(self, X: Rows) -> Floats:
        """Latencies (n,) in ms of canonical rows (n, G), without their intervals: an objective of a search."""
        return np.asarray(self.predict(X).mean_ms)

    def predict_one(self, architecture: Architecture) -> LatencyPrediction:
        """Latency of one architecture, as floats. PredictorError where the space has no such network."""
        found = self.predict(self._space.matrix([moved(architecture, self._space)]))
        return LatencyPrediction(float(found.mean_ms[0]), float(found.low_ms[0]), float(found.high_ms[0]))

    def judge(self, rows: Rows, ms: Floats) -> dict[str, Any]:
        """Errors on networks that were not fitted to: rows (n, G) and ms (n,); see `errors_of`."""
        return errors_of(self.predict(rows), ms)

    def left_out(self) -> dict[str, Any]:
        """Errors on the measurements themselves, each left out of a fit to the others; see `errors_of`. All are None where
        the others would be too few."""
        return errors_of(*self.left_out_predictions())

    def left_out_predictions(self) -> tuple[LatencyPrediction, Floats]:
        """What is predicted of each measured network by a fit to the others, and its ms (n,); n = 0 where the others would be
        too few."""
        parts = []
        for out in range(len(self._ms) if len(self._ms) > FEWEST else 0):
            others = np.arange(len(self._ms)) != out
            again = copy.copy(self)
            again._transfer, again._translate = copy.copy(self._transfer), None
            found = again.fit(self._rows[others], self._ms[others]).predict(self._rows[[out]])
            parts.append((found.mean_ms[0], found.low_ms[0], found.high_ms[0]))
        return LatencyPrediction(*np.array(parts).reshape(-1, 3).T), self._ms[: len(parts)]


def from_logs(mean: Floats, std: Floats) -> LatencyPrediction:
    """Latencies with 90 % intervals, of log latencies (n,) in ms and their standard deviations."""
    return LatencyPrediction(*(np.exp(mean + side * COVERED * std) for side in (0.0, -1.0, 1.0)))
