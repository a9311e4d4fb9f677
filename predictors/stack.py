"""Several learners that are weighed by what they guess of rows they have not seen, with a standard deviation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from predictors.ceiling import COVERED
from predictors.correction import conformal
from predictors.folds import group_folds
from predictors.learners import LEARNERS, Learner, Process
from predictors.unevenness import Unevenness

Floats = NDArray[np.float64]
BEYOND = 0.2  # of the range of targets seen, on either side


class Stack:
    """Learners of `LEARNERS`, fitted to all folds but one, each left out in turn.

    Non-negative weights for them are found on what was left out (stacking; Wolpert 1992, Breiman 1996), and the prediction
    is the mean over the folds. The standard deviation joins the spread of the folds with what was missed on rows left out,
    so wide that 90 % of those lay inside 1.645 of it, and grows with the distance from what was seen (as in a Gaussian
    process). Deterministic for given rows, targets and seed.

    Args:
        seed: of the folds and the trees.
        learners: names of `LEARNERS`, at least one.
        folds: how many, at most one a row.
        uneven: also learn where errors are large (`Unevenness`), of some hundreds of rows.
    """

    def __init__(self, seed: int, learners: Sequence[str], folds: int, uneven: bool = False) -> None:
        self._seed = seed
        self._count = folds
        self._names = tuple(learners)
        self._uneven = Unevenness(seed) if uneven else None

    def fit(self, F: Floats, Z: Floats, target: Floats, groups: NDArray[Any] | None = None) -> Stack:
        """Learn targets (n,), n >= 2, from features F (n, F) and the scaled ones Z (n, K) in which distances mean something.

        ``groups`` (n,), of at least two values: rows of a group are left out together, where rows of other groups are to be
        predicted; by rows left out at random, whose relatives were seen, such predictions would seem better than they are.
        """
        self._range = target.min() - BEYOND * np.ptp(target), target.max() + BEYOND * np.ptp(target)
        rng = np.random.default_rng(self._seed)
        if groups is None:
            fold = rng.permutation(len(target)) % min(self._count, len(target))
        else:
            fold = group_folds(groups, self._count, rng)
        self._folds: list[list[Learner]] = []
        self._seen: list[NDArray[np.int64]] = []
        left = np.zeros((len(self._names), len(target)))
        for number in range(fold.max() + 1):
            rows, out = fold != number, fold == number
            own = int(rng.integers(2**31))
            learners = [LEARNERS[name](own).fit(F[rows], Z[rows], target[rows]) for name in self._names]
            self._folds.append(learners)
            self._seen.append(np.flatnonzero(rows))
            left[:, out] = self._guesses(learners, F[out], Z[out])
        self._doubts = Process().fit(F, Z, target)
        self._weigh(left, target)
        self._used = np.flatnonzero(self._weights)  # the others are not asked again
        self._folds = [[learners[number] for number in self._used] for learners in self._folds]
        missed, sizes = np.abs(target - self._weights @ left), np.sqrt(self._doubts.doubt_left)
        if self._uneven is not None:
            sizes = sizes * self._uneven.fit(F, missed / sizes).left
        held = conformal(missed / sizes, 0.9) / COVERED
        self._residual = float(held**2) if np.isfinite(held) else float(target.var())
        return self

    def predict(self, F: Floats, Z: Floats) -> tuple[Floats, Floats]:
        """Mean (n,) and standard deviation (n,) of the targets."""
        distance = self._doubts.distances(Z)
        weights, guesses = self._weights[self._used], np.zeros((len(self._folds), len(F)))
        for number, (learners, rows) in enumerate(zip(self._folds, self._seen, strict=True)):
            guesses[number] = weights @ self._guesses(learners, F, Z, distance[:, rows])
        doubt = self._doubts.doubt(distance) * (1.0 if self._uneven is None else self._uneven(F) ** 2)
        return guesses.mean(axis=0), np.sqrt(guesses.var(axis=0) + self._residual * doubt)

    def _guesses(self, learners: list[Learner], F: Floats, Z: Floats, distance: Floats | None = None) -> Floats:
        """(m, n), within the range of what was seen and a little beyond: a line knows no end. ``distance``: (n, seen) to the
        rows that the learners have seen, if known (those of one process hold for all)."""
        found = [
            learner.at(distance) if isinstance(learner, Process) and distance is not None else learner.predict(F, Z)
            for learner in learners
        ]
        return np.stack(found).clip(*self._range)

    def _weigh(self, left: Floats, target: Floats) -> None:
        """Weights of the m learners, from their guesses (m, n) for rows left out."""
        from scipy.optimize import nnls  # late: it takes long to import

        centre = target.mean()
        weights = nnls((left - centre).T, target - centre)[0]
        self._weights = weights / weights.sum() if weights.sum() > 0 else np.full(len(left), 1 / len(left))
