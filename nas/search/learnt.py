"""What searchers that build architectures from parts learn: a sum of importances for every objective that is asked."""

from __future__ import annotations

from abc import abstractmethod
from functools import cached_property

import numpy as np
from scipy.special import ndtri

from nas.search.base import Searcher
from nas.search.candidates import admit, fresh
from nas.search.cover import first_sample
from nas.search.problem import Floats, Problem, Rows
from predictors.importance import ImportanceModel
from search_spaces.space import row_keys


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
        from scipy.stats import rankdata  # late: it takes long to import

        y = F[:, self._column]
        ranked = ndtri((rankdata(y) - 0.5) / len(y))
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


class LearntSearcher(Searcher):
    """What searchers of this kind share: a first sample that covers every choice, then rows made from what was learnt of the
    asked objectives, and random ones where these are too few."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self._learnt = [Learnt(problem, column) for column in range(len(problem.asked))]

    @cached_property
    def _first(self) -> Rows:
        return first_sample(self.problem)

    def propose(self, n: int) -> Rows:
        """Up to ``n`` unseen feasible rows."""
        first = self.X[:0] if len(self.X) >= len(self._first) else admit(self.problem, self._first, self.seen, n)
        found, taken = [first], self.seen | set(row_keys(first))
        if len(first) < n and len(self.X) >= 2:
            for learnt in self._learnt:
                learnt.fit(self.X, self.F)
            found.append(self._make(n - len(first), taken))
            taken |= set(row_keys(found[-1]))
        if missing := n - sum(map(len, found)):
            found.append(fresh(self.problem, missing, taken, self.rng))
        return np.concatenate(found)

    @abstractmethod
    def _make(self, n: int, taken: set[bytes]) -> Rows:
        """At most ``n`` feasible rows that are not in ``taken``, from what was learnt."""


def agreement(guess: Floats, truth: Floats) -> float:
    """Rank correlation, 0 where either does not vary."""
    if np.ptp(guess) == 0 or np.ptp(truth) == 0:
        return 0.0
    from scipy.stats import spearmanr

    return float(spearmanr(guess, truth)[0])
