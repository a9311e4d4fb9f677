"""Predictors of accuracy, and of latency on one device, by name, for benchmarks and for users who compare."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from predictors.accuracy import AccuracyPredictor
from predictors.encoder import EncoderPredictor
from predictors.encoder_network import Encoder
from predictors.encoding import Features
from predictors.in_device import InDevicePredictor
from predictors.latency_features import LatencyFeatures
from predictors.learners import LEARNERS
from predictors.process import ProcessPredictor

Floats = NDArray[np.float64]


class Predictor(Protocol):
    """Learns scores (n,) of rows (n, G), larger ones better, and predicts their mean and standard deviation."""

    def fit(self, X: NDArray[np.integer], y: Floats) -> Any: ...

    def predict(self, X: NDArray[np.integer]) -> tuple[Floats, Floats]: ...


class DevicePredictor(Protocol):
    """Learns latencies (n,) of rows (n, G), of groups (n,) if known, and predicts their logs: mean and standard deviation."""

    def fit(self, X: NDArray[Any], ms: Floats, groups: NDArray[np.integer] | None = None) -> Any: ...

    def predict(self, X: NDArray[Any]) -> tuple[Floats, Floats]: ...


Factory = Callable[[Features, int], Predictor]
DeviceFactory = Callable[[LatencyFeatures, int], DevicePredictor]


def _single(name: str) -> Factory:
    return lambda features, seed: AccuracyPredictor(features, seed, (name,))


def _single_latency(name: str) -> DeviceFactory:
    return lambda features, seed: InDevicePredictor(features, seed, (name,))


# "stacked" first: the one that searches use, but for those that refit often, which use "gaussian-process"
ACCURACY_PREDICTORS: dict[str, Factory] = {
    "stacked": AccuracyPredictor,
    "gaussian-process": lambda features, seed: ProcessPredictor(features),
    "encoder": EncoderPredictor,
    "stacked+encoder": lambda features, seed: EncoderPredictor(features, seed, joined=True),
    # accuracy is no sum of parts, and a network is no learner of features
    **{name: _single(name) for name in LEARNERS if name not in ("additive", "network")},
}
# those that can start from an encoder that was trained elsewhere
ENCODERS: dict[str, Callable[[Features, int, Encoder], Predictor]] = {
    "encoder": lambda features, seed, encoder: EncoderPredictor(features, seed, encoder=encoder),
    "stacked+encoder": lambda features, seed, encoder: EncoderPredictor(features, seed, True, encoder),
}
IN_DEVICE_PREDICTORS: dict[str, DeviceFactory] = {
    "stacked": InDevicePredictor,
    **{name: _single_latency(name) for name in LEARNERS if name != "network"},
}
