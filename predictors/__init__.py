"""Predictors: architecture -> accuracy or latency, always with an uncertainty."""

from predictors.accuracy import AccuracyPredictor
from predictors.encoding import Features, features_of
from predictors.errors import PredictorError
from predictors.latency import LatencyPrediction, LatencyPredictor
from predictors.minimum import minimise
from predictors.operator_model import OperatorModel

__all__ = [
    "AccuracyPredictor",
    "Features",
    "LatencyPrediction",
    "LatencyPredictor",
    "OperatorModel",
    "PredictorError",
    "features_of",
    "minimise",
]
