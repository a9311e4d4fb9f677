"""NSGA-II (Deb, Pratap, Agarwal and Meyarivan, 2002) on integer rows.

Infeasible rows are never asked for, so constrained domination is not needed; an architecture is never asked for twice.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from nas.search import pareto
from nas.search.base import Searcher, register
from nas.search.candidates import fresh, repair, take
from nas.search.problem import Floats, Problem, Rows
from search_spaces.space import GENE, SearchSpace, row_keys

CROSSED = 0.9  # of the children


def offspring(space: SearchSpace, X: Rows, n: int, rng: np.random.Generator) -> Rows:
    """Children (n, G) of population ``X``, best first: uniform crosses of parents that won a binary tournament.

    Only a child that would be a copy of a parent is mutated, in one gene. A mutation on top of a cross loses more of what the
    parents have in common than it finds, and copies are common once the parents are alike: just when small steps pay.
    """
    drawn = rng.integers(len(X), size=(2, n, 2))
    one, other = X.take(np.minimum(drawn[..., 0], drawn[..., 1]), axis=0)  # of two at random the better one
    alone = rng.random(n) >= CROSSED
    children = space.crossover(one, other, rng)
    children[alone] = one[alone]
    copies = (children == one).all(axis=1) | (children == other).all(axis=1)
    children[copies] = space.mutate(children[copies], rng, rate=0.0)  # one gene each
    return children


def survivors(F: Floats, n: int) -> NDArray[np.int64]:
    """Indices of the ``n`` best points by rank and crowding distance, best first: the elitist survival."""
    return pareto.order(F, n)


class Visited:
    """Rows met so far, at most ``most`` with repeats: tells the new ones without a loop over them in Python.

    A hash table: each place has the number of the first row that hashed to it, and a row that is at a place already is compared
    with that one gene by gene. Where they differ, which is rare, a set of keys decides: no collision loses a row.
    """

    def __init__(self, genes: int, most: int) -> None:
        bits = (8 * most).bit_length()
        self._rows = np.empty((most, genes), dtype=GENE)
        self._count = 0
        self._at = np.full(2**bits, -1, dtype=np.int32)
        self._others: set[bytes] = set()
        self._shift = np.uint64(64 - bits)
        self._factors = np.random.default_rng(0).integers(2**64, size=genes, dtype=np.uint64) | np.uint64(1)

    def add(self, X: Rows) -> NDArray[np.bool_]:
        """Mask (n,) of the rows (n, G) that were not met before, nor earlier in ``X``; from now on they were."""
        start, self._count = self._count, self._count + len(X)
        numbers = np.arange(start, self._count)
        self._rows[start : self._count] = X
        place = (X.astype(np.uint64) @ self._factors >> self._shift).astype(np.int64)
        free = self._at[place] < 0
        self._at[place[free][::-1]] = numbers[free][::-1]  # written last: of several, the first has the place
        holder = self._at[place]
        new = holder == numbers
        late = np.flatnonzero(~new)
        differs = late[(self._rows[holder[late]] != X[late]).any(axis=1)]
        for i, key in zip(differs, row_keys(X[differs]), strict=True):
            new[i] = key not in self._others
            self._others.add(key)
        return new


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
    visited = Visited(X.shape[1], len(X) + generations * population)
    visited.add(X)
    F = objectives(X)
    all_X, all_F = [X], [F]
    best = survivors(F, population)
    X, F = X[best], F[best]
    for _ in range(generations):
        children = offspring(problem.space, X, population, rng)
        children = children[problem.feasible(children)]
        children = children[visited.add(children)]
        if len(children) == 0:
            continue
        F_children = objectives(children)
        all_X.append(children)
        all_F.append(F_children)
        X, F = np.concatenate((X, children)), np.concatenate((F, F_children))
        keep = survivors(F, population)
        X, F = X.take(keep, axis=0), F.take(keep, axis=0)
    return np.concatenate(all_X), np.concatenate(all_F)


@register
class NSGA2(Searcher):
    """The first ``population`` rows are random, every later one is offspring of the best ``population`` told so far."""

    name = "nsga2"
    survive = staticmethod(survivors)

    def propose(self, n: int) -> Rows:
        """Up to ``n`` unseen feasible rows."""
        if len(self.X) < min(self.problem.population, self.problem.evaluations):
            return fresh(self.problem, n, self.seen, self.rng)
        keep = self.survive(self.F, self.problem.population)
        return breed(self.problem, self.X[keep], n, self.seen, self.rng)


def breed(problem: Problem, X: Rows, n: int, seen: set[bytes], rng: np.random.Generator) -> Rows:
    """Up to ``n`` unseen feasible children of ``X``, best first; after ten rounds repaired children, then random rows."""
    taken = set(seen)
    found = [X[:0]]
    missing = n
    children = X[:0]
    for attempt in range(11):
        if attempt < 10:
            children = offspring(problem.space, X, n, rng)
        else:
            children = repair(problem, children, rng)
        missing = take(problem, children, taken, missing, found)
        if missing <= 0:
            return np.concatenate(found)
    found.append(fresh(problem, missing, taken, rng))
    return np.concatenate(found)
