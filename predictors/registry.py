"""Accuracy predictors by name, for benchmarks and for users who compare."""

from __future__ import annotations

from collections.abc import Callable

from predictors.accuracy import AccuracyPredictor
from predictors.encoding import Features
from predictors.learners import LEARNERS

Factory = Callable[[Features, int], AccuracyPredictor]


def _single(name: str) -> Factory:
    return lambda features, seed: AccuracyPredictor(features, seed, (name,))


# "stacked" first: the one that searches use
ACCURACY_PREDICTORS: dict[str, Factory] = {"stacked": AccuracyPredictor, **{name: _single(name) for name in LEARNERS}}
