"""Accuracy of architectures that were never evaluated, from a few hundred that were."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from predictors.ceiling import Ceiling
from predictors.encoding import Features, features_from
from predictors.errors import PredictorError
from predictors.learners import STACK, known_learners
from predictors.scaling import FeatureScale
from predictors.stack import Stack
from predictors.storage import read_fitted, write_fitted
from predictors.threads import one_thread

Floats = NDArray[np.float64]
FOLDS = 8
KIND = "accuracy"  # of its files
CHUNK = 1024  # rows predicted at once: so that their features stay near the processor


class AccuracyPredictor:
    """Gaussian process, extra trees and boosted trees on features of architectures, with a standard deviation.

    They are weighed by what they guess of rows left out (`Stack`), of scores seen from a ceiling (`Ceiling`). Deterministic
    for given rows, scores and seed.

    Args:
        features: see `features_of`.
        seed: of the folds and the trees.
        learners: names of `LEARNERS`, at least one.
    """

    def __init__(self, features: Features, seed: int = 0, learners: Sequence[str] = STACK) -> None:
        self._features = features
        self._seed = seed
        self._names = tuple(learners)
        self._stack: Stack | None = None

    @one_thread
    def fit(self, X: NDArray[np.integer], y: Floats) -> AccuracyPredictor:
        """Learn from rows (n, G) and scores (n,), larger ones better, n >= 2. PredictorError otherwise."""
        y = np.asarray(y, dtype=np.float64)
        if np.ndim(X) != 2 or X.shape[1] != self._features.columns:
            raise PredictorError(f"X: expected rows of {self._features.columns} genes, got shape {np.shape(X)}")
        if len(X) < 2:
            raise PredictorError(f"X: at least 2 evaluated rows are needed, got {len(X)}")
        if y.shape != (len(X),) or not np.isfinite(y).all():
            raise PredictorError(f"y: expected {len(X)} finite scores, one a row, got shape {y.shape}")
        self._seen = X, y
        F = self._features(X).astype(np.float64)
        self._ceiling = Ceiling(y)
        self._scaled = FeatureScale(F, self._features.genes)
        self._stack = Stack(self._seed, self._names, FOLDS).fit(F, self._scaled(F), self._ceiling.forward(y))
        return self

    @one_thread
    def predict(self, X: NDArray[np.integer]) -> tuple[Floats, Floats]:
        """Mean (n,) and standard deviation (n,) of the scores of rows (n, G). PredictorError before `fit`."""
        if self._stack is None:
            raise PredictorError("AccuracyPredictor.predict: call fit(X, y) first")
        mean, std = np.zeros(len(X)), np.zeros(len(X))
        for start in range(0, len(X), CHUNK):
            part = slice(start, start + CHUNK)
            F = self._features(X[part]).astype(np.float64)
            middle, spread = self._stack.predict(F, self._scaled(F))
            mean[part], std[part] = self._ceiling.back(middle), self._ceiling.spread_back(middle, spread)
        return mean, std

    def save(self, path: str | Path) -> None:
        """Writes what it was fitted to (no pickle), from which `load` fits it again. PredictorError before `fit`."""
        if self._stack is None:
            raise PredictorError("AccuracyPredictor.save: call fit(X, y) first")
        rows, scores = self._seen
        facts = {"features": self._features.definition, "seed": self._seed, "learners": list(self._names)}
        write_fitted(Path(path), KIND, facts, {"rows": np.asarray(rows), "scores": scores})

    @classmethod
    def load(cls, path: str | Path) -> AccuracyPredictor:
        """The predictor that `save` wrote: it gives the same predictions.

        Raises:
            PredictorError: the file is none, or names features or learners that are not known; SpaceError: or a space.
        """
        facts = {"features": dict, "seed": int, "learners": list}
        header, arrays = read_fitted(Path(path), KIND, facts, {"rows": 2, "scores": 1})
        names = known_learners(path, header["learners"])
        if arrays["rows"].dtype.kind != "i":
            raise PredictorError(f"{path}: rows: got {arrays['rows'].dtype}; legal: integers")
        return cls(features_from(header["features"]), header["seed"], names).fit(arrays["rows"], arrays["scores"])
