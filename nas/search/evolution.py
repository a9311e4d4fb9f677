"""Regularised evolution (Real, Aggarwal, Huang and Le, "Regularized evolution for image classifier architecture
search", 2019): the oldest die, whatever they were worth."""

from __future__ import annotations

import numpy as np

from nas.search import pareto
from nas.search.base import Searcher, register
from nas.search.candidates import fresh, take
from nas.search.problem import Rows

SAMPLE = 0.5  # share of the population that competes to be the parent
TRIES = 20


@register
class RegularisedEvolution(Searcher):
    """The best of a random half of the last ``population`` rows told is mutated. By Pareto rank in many objectives."""

    name = "regularised-evolution"

    def propose(self, n: int) -> Rows:
        """Up to ``n`` unseen feasible rows."""
        if len(self.X) < min(self.problem.population, self.problem.evaluations):
            return fresh(self.problem, n, self.seen, self.rng)
        X, F = self.X[-self.problem.population :], self.F[-self.problem.population :]
        place = np.empty(len(X), dtype=np.int64)
        place[pareto.order(F)] = np.arange(len(X))
        taken = set(self.seen)
        found = [X[:0]]
        missing = n
        for _ in range(TRIES):
            group = self.rng.random((missing, len(X))).argsort(axis=1)[:, : max(2, round(SAMPLE * len(X)))]
            parents = group[np.arange(missing), place[group].argmin(axis=1)]
            missing = take(self.problem, self.space.mutate(X[parents], self.rng), taken, missing, found)
            if missing == 0:
                return np.concatenate(found)
        return np.concatenate((*found, fresh(self.problem, missing, taken, self.rng)))
