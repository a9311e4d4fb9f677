"""What predictors are made of: learners that are fitted to features and guess a number."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from predictors.additive import Additive
from predictors.errors import PredictorError

if TYPE_CHECKING:  # imported where trees are grown: they take longer to import than all else here
    import lightgbm
    from sklearn.ensemble import ExtraTreesRegressor, RandomForestRegressor

Floats = NDArray[np.float64]
TREES = 60
ROUNDS = 250
FEWEST = 3  # rows that a tree can split
BOOSTING: dict[str, Any] = {
    "objective": "regression",
    "learning_rate": 0.07,
    "num_leaves": 8,
    "min_data_in_leaf": FEWEST,
    "min_data_in_bin": 1,
    "feature_fraction": 0.2,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "num_threads": 1,
    "deterministic": True,
    "force_row_wise": True,
    "verbose": -1,
}


class Learner(Protocol):
    """Fitted to features F (n, F), the same scaled Z, and targets (n,)."""

    def fit(self, F: Floats, Z: Floats, y: Floats) -> Self: ...

    def predict(self, F: Floats, Z: Floats) -> Floats: ...


class Ridge:
    """Linear in Z; the penalty is the one of smallest generalised cross-validation error."""

    def fit(self, F: Floats, Z: Floats, y: Floats) -> Ridge:
        self._mean, self._centre = y.mean(), Z.mean(axis=0)
        u, s, vt = np.linalg.svd(Z - self._centre, full_matrices=False)
        uy = u.T @ (y - self._mean)
        best, error = 1.0, np.inf
        for penalty in np.geomspace(1e-2, 1e4, 13) * len(y) / 10:
            shrink = s**2 / (s**2 + penalty)
            left = ((y - self._mean - u @ (shrink * uy)) ** 2).mean()
            left /= max(1.0 - (shrink.sum() + 1) / len(y), 1e-3) ** 2
            if left < error:
                best, error = penalty, left
        self._weights = vt.T @ (s / (s**2 + best) * uy)
        return self

    def predict(self, F: Floats, Z: Floats) -> Floats:
        return np.asarray(self._mean + (Z - self._centre) @ self._weights)


class Process:
    """Gaussian process mean with an exponential kernel of the distance in Z (Matern 1/2), noise by leave-one-out."""

    def fit(self, F: Floats, Z: Floats, y: Floats) -> Process:
        self._Z, self._mean = Z, y.mean()
        distance = distances(Z, Z)
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
                self.left = y - residual  # (n,) what is guessed of each row without it
        self._weights = vectors @ (projected / (values + best))
        self._noise, self._inverse = best, (vectors / (values + best)) @ vectors.T
        return self

    def predict(self, F: Floats, Z: Floats) -> Floats:
        return self.at(self.distances(Z))

    def distances(self, Z: Floats) -> Floats:
        """(n, seen) to the rows of the fit."""
        return distances(Z, self._Z)

    def at(self, distance: Floats) -> Floats:
        """(n,) what `predict` says of rows at such distances (n, seen)."""
        return np.asarray(self._mean + np.exp(-distance / self._scale) @ self._weights)

    def doubt(self, distance: Floats) -> Floats:
        """(n,) predictive variances, of a process of variance 1, at such distances: larger far from all that was seen."""
        near = np.exp(-distance / self._scale)
        return np.maximum(1.0 + self._noise - ((near @ self._inverse) * near).sum(axis=1), self._noise)

    @property
    def doubt_left(self) -> Floats:
        """(n,) the same of the rows of the fit, each left out."""
        return np.asarray(1.0 / np.diag(self._inverse))


class Trees:
    """Many trees of scikit-learn: extremely randomised ones (Geurts et al., 2006), or a random forest (Breiman, 2001), the
    learner of GRAF."""

    def __init__(self, trees: ExtraTreesRegressor | RandomForestRegressor) -> None:
        self._trees = trees

    def fit(self, F: Floats, Z: Floats, y: Floats) -> Trees:
        self._trees.fit(F, y)
        return self

    def predict(self, F: Floats, Z: Floats) -> Floats:
        """As scikit-learn's own, which checks its input anew for every tree: that takes as long as the trees."""
        rows = np.ascontiguousarray(F, dtype=np.float32)
        trees = self._trees.estimators_
        return np.asarray(sum(tree.tree_.predict(rows)[:, 0] for tree in trees)) / len(trees)


class Boosted:
    """Gradient-boosted trees (LightGBM; Ke et al., 2017), small ones that each see a fifth of the features."""

    def __init__(self, seed: int) -> None:
        self._settings = {**BOOSTING, "seed": seed}
        self._constant = 0.0
        self._model: lightgbm.Booster | None = None

    def fit(self, F: Floats, Z: Floats, y: Floats) -> Boosted:
        import lightgbm

        self._constant = float(y.mean())
        if len(y) >= FEWEST:
            self._model = lightgbm.train(self._settings, lightgbm.Dataset(F, y), ROUNDS)
        return self

    def predict(self, F: Floats, Z: Floats) -> Floats:
        if self._model is None:
            return np.full(len(F), self._constant)
        return np.asarray(self._model.predict(F, num_threads=1))


class Network:
    """What a network guessed of the rows, which is the last column of F (`EncoderPredictor`)."""

    def fit(self, F: Floats, Z: Floats, y: Floats) -> Network:
        return self

    def predict(self, F: Floats, Z: Floats) -> Floats:
        return F[:, -1]


def _extremely_random(seed: int) -> Trees:
    from sklearn.ensemble import ExtraTreesRegressor

    return Trees(ExtraTreesRegressor(TREES, max_features=0.5, n_jobs=1, random_state=seed))


def _forest(seed: int) -> Trees:
    from sklearn.ensemble import RandomForestRegressor

    return Trees(RandomForestRegressor(TREES, max_features=0.3, n_jobs=1, random_state=seed))


def distances(A: Floats, B: Floats) -> Floats:
    """Euclidean distances (a, b) between rows (a, F) and (b, F)."""
    square = (A**2).sum(axis=1)[:, None] + (B**2).sum(axis=1) - 2.0 * A @ B.T
    return np.asarray(np.sqrt(np.maximum(square, 0.0)))


# name -> the learner with that seed
LEARNERS: dict[str, Callable[[int], Learner]] = {
    "ridge": lambda seed: Ridge(),
    "process": lambda seed: Process(),
    "trees": _extremely_random,
    "boosted": Boosted,
    "forest": _forest,
    "additive": lambda seed: Additive(),  # of costs: it is told their logs
    "network": lambda seed: Network(),
}
STACK = (
    "process",
    "trees",
    "boosted",
)  # together; a line fits the bad tail of scores, and misleads among the good ones


def known_learners(path: object, names: object) -> list[str]:
    """The names of learners in a file; PredictorError where they are none, or not known."""
    if not isinstance(names, list) or not names or any(name not in LEARNERS for name in map(str, names)):
        raise PredictorError(f"{path}: learners: got {names!r}; legal: of {', '.join(LEARNERS)}")
    return [str(name) for name in names]
