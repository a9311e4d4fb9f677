"""What searchers that build architectures from parts learn: a sum of importances for every objective that is asked."""

from __future__ import annotations

import numpy as np
from scipy.stats import norm, rankdata, spearmanr

from nas.search.base import Floats, Problem, Rows
from predictors.importance import ImportanceModel


class Learnt:
    """An `ImportanceModel` of one asked objective (to be minimised), refitted to all rows told.

    The model sees the objective itself or its normal scores (by rank), whichever it guesses better in order, each row left
    out: the good architectures of a space differ little and the bad ones much, and sums are led astray by these.

    Attributes:
        model: of the objective so seen.
    """

    def __init__(self, problem: Problem, column: int) -> None:
        self.model = ImportanceModel(problem.space)
        self._column = column

    def fit(self, X: Rows, F: Floats) -> Learnt:
        """Learn from rows told (n, G), n >= 2, and their objectives (n, m)."""
        y = F[:, self._column]
        ranked = norm.ppf((rankdata(y) - 0.5) / len(y))
        scale = float(y.std()) or 1.0
        plain = (y - y.mean()) / scale
        kept = {}
        for name, seen in (("ranked", ranked), ("plain", plain)):
            kept[name] = agreement(self.model.fit(X, seen).left_out, y)
        self._seen = ranked if kept["ranked"] >= kept["plain"] else plain
        if self._seen is ranked:
            self.model.fit(X, ranked)
        order = np.argsort(y, kind="stable")
        self._from, self._to = y[order], self._seen[order]
        return self

    def level(self, value: float) -> float:
        """Where a value of the objective stands in what the model sees."""
        return float(np.interp(value, self._from, self._to))

    def optimistic(self, rng: np.random.Generator, share: float) -> Floats:
        """(T,) weights that go ``share`` of the way from the fitted ones to a draw of the possible ones."""
        assert self.model.weights is not None
        return np.asarray(self.model.weights + share * (self.model.draw(rng) - self.model.weights))


def agreement(guess: Floats, truth: Floats) -> float:
    """Rank correlation, 0 where either does not vary."""
    if np.ptp(guess) == 0 or np.ptp(truth) == 0:
        return 0.0
    return float(spearmanr(guess, truth)[0])
