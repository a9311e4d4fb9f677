"""Accuracy predictors by name, for benchmarks and for users who compare."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from predictors.accuracy import AccuracyPredictor
from predictors.encoding import Features
from predictors.learners import LEARNERS
from predictors.process import ProcessPredictor

Floats = NDArray[np.float64]


class Predictor(Protocol):
    """Learns scores (n,) of rows (n, G), larger ones better, and predicts their mean and standard deviation."""

    def fit(self, X: NDArray[np.integer], y: Floats) -> Any: ...

    def predict(self, X: NDArray[np.integer]) -> tuple[Floats, Floats]: ...


Factory = Callable[[Features, int], Predictor]


def _single(name: str) -> Factory:
    return lambda features, seed: AccuracyPredictor(features, seed, (name,))


# "stacked" first: the one that searches use, but for those that refit often, which use "gaussian-process"
ACCURACY_PREDICTORS: dict[str, Factory] = {
    "stacked": AccuracyPredictor,
    "gaussian-process": lambda features, seed: ProcessPredictor(features),
    **{name: _single(name) for name in LEARNERS},
}
