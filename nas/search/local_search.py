"""Local search: the neighbours of the best row whose neighbours are not all known.

Sources: White, Nolen and Savani, "Exploring the loss landscape in neural architecture search", 2021; in many objectives
Pareto local search (Paquete, Chiarandini and Stuetzle, 2004).
"""

from __future__ import annotations

import numpy as np

from nas.search import pareto
from nas.search.base import Searcher, register
from nas.search.candidates import admit, fresh
from nas.search.problem import Problem, Rows
from search_spaces.space import row_keys

FIRST = 10  # random rows, of which the best is where it starts


@register
class LocalSearch(Searcher):
    """Moves as soon as something better was told, and on to the next best row where nothing near is better."""

    name = "local-search"

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self._explored: set[bytes] = set()

    def propose(self, n: int) -> Rows:
        """Up to ``n`` unseen feasible rows."""
        if len(self.X) < min(FIRST, self.problem.evaluations):
            return fresh(self.problem, n, self.seen, self.rng)
        taken = set(self.seen)
        found = [self.X[:0]]
        missing = n
        for key, row in zip(*self._by_rank(), strict=True):
            near = admit(self.problem, self.space.neighbours(row), taken)
            if len(near) == 0:
                self._explored.add(key)
                continue
            new = self.rng.permutation(near)[:missing]
            taken.update(row_keys(new))
            found.append(new)
            missing -= len(new)
            if missing == 0:
                return np.concatenate(found)
        return np.concatenate((*found, fresh(self.problem, missing, taken, self.rng)))

    def _by_rank(self) -> tuple[list[bytes], Rows]:
        """Rows told whose neighbours are not all known, best first, with their keys."""
        X = self.X[pareto.order(self.F)]
        keys = row_keys(X)
        left = [i for i, key in enumerate(keys) if key not in self._explored]
        return [keys[i] for i in left], X[left]
