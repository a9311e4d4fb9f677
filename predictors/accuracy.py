"""Accuracy of architectures that were never evaluated, from a few hundred that were."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls
from sklearn.ensemble import ExtraTreesRegressor

from predictors.errors import PredictorError
from predictors.features import ArchitectureFeatures
from predictors.threads import one_thread
from search_spaces.space import SearchSpace

Floats = NDArray[np.float64]
BAGS = 8
TREES = 12  # a bag
CHUNK = 2048  # rows predicted at once: bounds the memory of the kernel


class _Ridge:
    """Bayesian-flavoured ridge: the penalty is the one of smallest generalised cross-validation error."""

    def fit(self, Z: Floats, y: Floats) -> _Ridge:
        self._mean = y.mean()
        u, s, vt = np.linalg.svd(Z, full_matrices=False)
        uy = u.T @ (y - self._mean)
        best, error = 1.0, np.inf
        for penalty in np.geomspace(1e-2, 1e4, 13) * len(y) / 10:
            shrink = s**2 / (s**2 + penalty)
            left = ((y - self._mean - u @ (shrink * uy)) ** 2).mean() / max(
                1.0 - (shrink.sum() + 1) / len(y), 1e-3
            ) ** 2
            if left < error:
                best, error = penalty, left
        self._weights = vt.T @ (s / (s**2 + best) * uy)
        return self

    def predict(self, Z: Floats) -> Floats:
        return self._mean + Z @ self._weights


class _Kernel:
    """Gaussian process mean with an exponential kernel of the distance (Matern 1/2), noise by leave-one-out."""

    def fit(self, distance: Floats, y: Floats) -> _Kernel:
        """``distance`` (n, n) between the rows of ``y`` (n,)."""
        self._mean = y.mean()
        self._scale = max(2.0 * float(np.median(distance)), 1e-9)
        values, vectors = np.linalg.eigh(np.exp(-distance / self._scale))
        values = np.maximum(values, 0.0)
        projected = vectors.T @ (y - self._mean)
        best, error = 0.1, np.inf
        for noise in (0.01, 0.03, 0.1, 0.3, 1.0):
            inverse = 1.0 / (values + noise)
            residual = (vectors @ (inverse * projected)) / ((vectors**2) @ inverse)  # leave-one-out, in closed form
            if (residual**2).mean() < error:
                best, error = noise, float((residual**2).mean())
        self._weights = vectors @ (projected / (values + best))
        return self

    def predict(self, distance: Floats) -> Floats:
        """``distance`` (k, n) of new rows to the rows of the fit."""
        return self._mean + np.exp(-distance / self._scale) @ self._weights


@dataclass(frozen=True)
class _Bag:
    rows: NDArray[np.int64]  # unique rows of the bootstrap sample
    ridge: _Ridge
    kernel: _Kernel
    trees: ExtraTreesRegressor

    def guesses(self, F: NDArray[np.float32], Z: Floats, distance: Floats) -> Floats:
        """(3, k) guesses of the three learners; ``distance`` (k, n) to all rows of the fit."""
        return np.stack((self.ridge.predict(Z), self.kernel.predict(distance[:, self.rows]), self.trees.predict(F)))


class AccuracyPredictor:
    """Bootstrap bag of ridge, Gaussian process and extra trees on the genes of a space, with a standard deviation.

    Every bag fits the three learners on a bootstrap sample; non-negative weights for them are found on the rows that
    each bag did not see (stacking; Wolpert 1992, Breiman 1996). The standard deviation joins the spread of the bags
    with the residual that is left out of bag. Deterministic for given rows, accuracies and seed.
    """

    def __init__(self, space: SearchSpace, seed: int = 0) -> None:
        self._space = space
        self._seed = seed
        self._features = ArchitectureFeatures(space)
        self._bags: list[_Bag] = []

    @one_thread
    def fit(self, X: NDArray[np.int16], y: Floats) -> AccuracyPredictor:
        """Learn from canonical rows (n, G) and accuracies (n,) as fractions, n >= 2. PredictorError otherwise."""
        y = np.asarray(y, dtype=np.float64)
        if np.ndim(X) != 2 or X.shape[1] != len(self._space.choices):
            raise PredictorError(f"X: expected rows of {len(self._space.choices)} genes, got shape {np.shape(X)}")
        if len(X) < 2:
            raise PredictorError(f"X: at least 2 evaluated rows are needed, got {len(X)}")
        if y.shape != (len(X),) or not np.isfinite(y).all():
            raise PredictorError(f"y: expected {len(X)} finite accuracies, one a row, got shape {y.shape}")
        F = self._features(X)
        self._centre = F.mean(axis=0)
        spread = F.std(axis=0)
        # A one-hot gene is not blown up for being rare: it is doubled. What had no spread in training stays.
        spread[: self._features.genes] = 0.5
        self._spread = np.where(spread > 0, spread, 1.0)
        self._Z = self._scaled(F)
        distance = _distances(self._Z, self._Z)
        rng = np.random.default_rng(self._seed)
        n = len(y)
        self._bags = []
        total, count = np.zeros((3, n)), np.zeros(n)
        for _ in range(BAGS):
            rows = rng.integers(n, size=n)
            unique = np.unique(rows)  # repeated rows would let the leave-one-out of the kernel see its own answer
            trees = ExtraTreesRegressor(
                TREES, max_features=0.3, min_samples_leaf=2, n_jobs=1, random_state=int(rng.integers(2**31))
            ).fit(F[rows], y[rows])
            ridge = _Ridge().fit(self._Z[unique], y[unique])
            bag = _Bag(unique, ridge, _Kernel().fit(distance[np.ix_(unique, unique)], y[unique]), trees)
            self._bags.append(bag)
            out = np.setdiff1d(np.arange(n), unique)
            if len(out):
                total[:, out] += bag.guesses(F[out], self._Z[out], distance[out])
                count[out] += 1
        self._weigh(total, count, y)
        return self

    @one_thread
    def predict(self, X: NDArray[np.int16]) -> tuple[Floats, Floats]:
        """Mean (n,) and standard deviation (n,) of the accuracy of rows (n, G). PredictorError before `fit`."""
        if not self._bags:
            raise PredictorError("AccuracyPredictor.predict: call fit(X, y) first")
        mean, std = np.zeros(len(X)), np.zeros(len(X))
        for start in range(0, len(X), CHUNK):
            part = slice(start, start + CHUNK)
            F = self._features(X[part])
            Z = self._scaled(F)
            distance = _distances(Z, self._Z)
            guesses = np.stack([self._weights @ bag.guesses(F, Z, distance) for bag in self._bags])
            mean[part] = guesses.mean(axis=0)
            std[part] = np.sqrt(guesses.var(axis=0, ddof=1) + self._residual)
        return mean, std

    def _scaled(self, F: NDArray[np.float32]) -> Floats:
        return ((F - self._centre) / self._spread).astype(np.float64)

    def _weigh(self, total: Floats, count: Floats, y: Floats) -> None:
        """Weights of the three learners and the variance left, from their out-of-bag guesses."""
        seen = count > 0
        guess = (total[:, seen] / count[seen]).T if seen.any() else np.tile(y.mean(), (1, 3))
        target = y[seen] if seen.any() else y[:1]
        weights = nnls(guess - y.mean(), target - y.mean())[0]
        self._weights = weights / weights.sum() if weights.sum() > 0 else np.full(3, 1 / 3)
        residual = target - guess @ self._weights
        self._residual = float((residual**2).mean()) if seen.any() else float(y.var())


def _distances(A: Floats, B: Floats) -> Floats:
    """Euclidean distances (a, b) between rows (a, F) and (b, F)."""
    square = (A**2).sum(axis=1)[:, None] + (B**2).sum(axis=1) - 2.0 * A @ B.T
    return np.sqrt(np.maximum(square, 0.0))
