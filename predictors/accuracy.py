"""Accuracy of architectures that were never evaluated, from a few hundred that were."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from predictors.ceiling import COVERED, Ceiling
from predictors.correction import conformal
from predictors.encoding import Features, features_from
from predictors.errors import PredictorError
from predictors.learners import LEARNERS, STACK, Learner, Process
from predictors.scaling import FeatureScale
from predictors.storage import read_fitted, write_fitted
from predictors.threads import one_thread

Floats = NDArray[np.float64]
FOLDS = 8
BEYOND = 0.2  # of the range of scores seen, on either side
KIND = "accuracy"  # of its files
CHUNK = 4096  # rows predicted at once: bounds the memory of the kernel


class AccuracyPredictor:
    """Gaussian process, extra trees and boosted trees on features of architectures, with a standard deviation.

    They are fitted to all folds but one, each left out in turn; non-negative weights for them are found on what was left
    out (stacking; Wolpert 1992, Breiman 1996), and the prediction is the mean over the folds. The standard deviation joins
    the spread of the folds with what was missed on rows left out, so wide that 90 % of those lay inside 1.645 of it, and
    grows with the distance from what was seen (as in a Gaussian process). Scores are seen from a ceiling (`Ceiling`).
    Deterministic for given rows, scores and seed.

    Args:
        features: see `features_of`.
        seed: of the folds and the trees.
        learners: names of `LEARNERS`, at least one.
    """

    def __init__(self, features: Features, seed: int = 0, learners: Sequence[str] = STACK) -> None:
        self._features = features
        self._seed = seed
        self._names = tuple(learners)
        self._folds: list[list[Learner]] = []

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
        target = self._ceiling.forward(y)
        self._range = target.min() - BEYOND * np.ptp(target), target.max() + BEYOND * np.ptp(target)
        self._scaled = FeatureScale(F, self._features.genes)
        Z = self._scaled(F)
        rng = np.random.default_rng(self._seed)
        fold = rng.permutation(len(y)) % min(FOLDS, len(y))
        self._folds, left = [], np.zeros((len(self._names), len(y)))
        for number in range(min(FOLDS, len(y))):
            rows, out = fold != number, fold == number
            own = int(rng.integers(2**31))
            learners = [LEARNERS[name](own).fit(F[rows], Z[rows], target[rows]) for name in self._names]
            self._folds.append(learners)
            left[:, out] = self._guesses(learners, F[out], Z[out])
        self._doubts = Process().fit(F, Z, target)
        self._weigh(left, target)
        return self

    @one_thread
    def predict(self, X: NDArray[np.integer]) -> tuple[Floats, Floats]:
        """Mean (n,) and standard deviation (n,) of the scores of rows (n, G). PredictorError before `fit`."""
        if not self._folds:
            raise PredictorError("AccuracyPredictor.predict: call fit(X, y) first")
        mean, std = np.zeros(len(X)), np.zeros(len(X))
        for start in range(0, len(X), CHUNK):
            part = slice(start, start + CHUNK)
            F = self._features(X[part]).astype(np.float64)
            Z = self._scaled(F)
            guesses = np.stack([self._weights @ self._guesses(learners, F, Z) for learners in self._folds])
            middle = guesses.mean(axis=0)
            spread = np.sqrt(guesses.var(axis=0) + self._residual * self._doubts.doubt(Z))
            mean[part], std[part] = self._ceiling.back(middle), self._ceiling.spread_back(middle, spread)
        return mean, std

    def save(self, path: str | Path) -> None:
        """Writes what it was fitted to (no pickle), from which `load` fits it again. PredictorError before `fit`."""
        if not self._folds:
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
        names = header["learners"]
        if not names or any(not isinstance(name, str) or name not in LEARNERS for name in names):
            raise PredictorError(f"{path}: learners: got {names!r}; legal: of {', '.join(LEARNERS)}")
        if arrays["rows"].dtype.kind != "i":
            raise PredictorError(f"{path}: rows: got {arrays['rows'].dtype}; legal: integers")
        return cls(features_from(header["features"]), header["seed"], names).fit(arrays["rows"], arrays["scores"])

    def _guesses(self, learners: list[Learner], F: Floats, Z: Floats) -> Floats:
        """(m, n), within the range of what was seen and a little beyond: a line knows no end."""
        return np.stack([learner.predict(F, Z) for learner in learners]).clip(*self._range)

    def _weigh(self, left: Floats, target: Floats) -> None:
        """Weights of the m learners and the variance they leave, from their guesses (m, n) for rows left out."""
        centre = target.mean()
        weights = nnls((left - centre).T, target - centre)[0]
        self._weights = weights / weights.sum() if weights.sum() > 0 else np.full(len(left), 1 / len(left))
        doubts = self._doubts.doubt_left
        held = conformal(np.abs(target - self._weights @ left) / np.sqrt(doubts), 0.9) / COVERED
        self._residual = float(held**2) if np.isfinite(held) else float(target.var())
