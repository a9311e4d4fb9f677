"""NSGA-II (Deb, Pratap, Agarwal and Meyarivan, 2002) on integer rows.

Infeasible rows are never asked for, so constrained domination is not needed; an architecture is never asked for twice.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from nas.search import pareto
from nas.search.base import Floats, Problem, Rows, Searcher, register
from nas.search.candidates import admit, fresh, repair
from search_spaces.space import SearchSpace, row_keys


def tournament(F: Floats, n: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Indices (n,) of parents: of two random points the one of lower rank wins, then the lonelier one."""
    place = np.empty(len(F), dtype=np.int64)
    place[pareto.order(F)] = np.arange(len(F))
    pairs = rng.integers(len(F), size=(n, 2))
    return pairs[np.arange(n), np.argmin(place[pairs], axis=1)]


def offspring(space: SearchSpace, X: Rows, F: Floats, n: int, rng: np.random.Generator) -> Rows:
    """Children (n, G) of population ``X`` with objectives ``F``: tournament, uniform crossover (0.9), mutation."""
    first, second = X[tournament(F, n, rng)], X[tournament(F, n, rng)]
    children = np.where(rng.random((n, 1)) < 0.9, space.crossover(first, second, rng), first)
    return space.mutate(children, rng)


def survivors(F: Floats, n: int) -> NDArray[np.int64]:
    """Indices of the ``n`` best points by rank and crowding distance: the elitist survival."""
    return pareto.order(F)[:n]


def evolve(
    problem: Problem,
    X: Rows,
    objectives: Callable[[Rows], Floats],
    rng: np.random.Generator,
    *,
    population: int,
    generations: int,
) -> tuple[Rows, Floats]:
    """A whole NSGA-II on cheap ``objectives`` ((n, G) -> (n, m), minimised) from the feasible rows ``X``.

    Returns every unique feasible row it visited (k, G) and its objectives (k, m), for the caller to choose from.
    """
    seen = set(row_keys(X))
    F = objectives(X)
    all_X, all_F = [X], [F]
    for _ in range(generations):
        children = admit(problem, offspring(problem.space, X, F, population, rng), seen)
        if len(children) == 0:
            continue
        seen.update(row_keys(children))
        F_children = objectives(children)
        all_X.append(children)
        all_F.append(F_children)
        X, F = np.concatenate((X, children)), np.concatenate((F, F_children))
        keep = survivors(F, population)
        X, F = X[keep], F[keep]
    return np.concatenate(all_X), np.concatenate(all_F)


@register
class NSGA2(Searcher):
    """The first batch is random, every later one the offspring of the best ``population`` rows told so far."""

    name = "nsga2"

    def propose(self, n: int) -> Rows:
        """Up to ``n`` unseen feasible rows."""
        if len(self.X) == 0:
            return fresh(self.problem, n, self.seen, self.rng)
        keep = survivors(self.objectives, self.problem.population)
        return breed(self.problem, self.X[keep], self.objectives[keep], n, self.seen, self.rng)


def breed(problem: Problem, X: Rows, F: Floats, n: int, seen: set[bytes], rng: np.random.Generator) -> Rows:
    """Up to ``n`` unseen feasible children of ``X``; after ten rounds repaired children, then random rows."""
    taken = set(seen)
    found = [X[:0]]
    missing = n
    children = X[:0]
    for attempt in range(11):
        if attempt < 10:
            children = offspring(problem.space, X, F, n, rng)
            new = admit(problem, children, taken, missing)
        else:
            new = admit(problem, repair(problem, children, rng), taken, missing)
        taken.update(row_keys(new))
        found.append(new)
        missing -= len(new)
        if missing <= 0:
            return np.concatenate(found)
    found.append(fresh(problem, missing, taken, rng))
    return np.concatenate(found)
