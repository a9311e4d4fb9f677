"""What a searcher is: it is asked for candidates and told how they did. And the registry of searchers by name."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from fractions import Fraction
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from nas.errors import JobError
from nas.search.problem import Floats, Problem, Rows
from search_spaces.space import row_keys


class Searcher(ABC):
    """Ask/tell searcher. Its behaviour is a function of the problem (with its seed) and of what it was told, nothing
    else: a search resumes by replaying the same asks and tells, and no searcher state is ever stored.

    Attributes:
        X: (n, G) rows told, in order. values: (n, m) their objectives as they were told. F: (n, m) the same as they are
            ranked (`Problem.ranked`), which is all that a searcher looks at. told: (n,) in which tell, from 0. cost: (n,)
            whole evaluations spent until each was told.
        spent: whole evaluations spent on all that was told.
        out: keys of the rows asked for and not told yet.
        share: of the examples, on which what was asked last is to be evaluated: told to `tell` if 1, else to `tell_part`.
        shares: whether it asks for less than 1.
    """

    name: ClassVar[str]
    shares: bool = False

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.space = problem.space
        self.rng = np.random.default_rng(problem.seed)
        self.seen: set[bytes] = set()  # keys of every row asked or told: none is asked again
        self.out: set[bytes] = set()
        self.X: Rows = np.zeros((0, len(problem.space.choices)), dtype=np.int16)
        self.values: Floats = np.zeros((0, len(problem.names)))
        self.F: Floats = self.values
        self.told: NDArray[np.int64] = np.zeros(0, dtype=np.int64)
        self.cost: Floats = np.zeros(0)
        self.spent = Fraction(0)
        self.share = Fraction(1)

    def ask(self, n: int) -> Rows:
        """At most ``n`` new feasible canonical rows (k, G), none asked or told before; empty: the space is exhausted"""
        if n < 1:
            raise JobError(f"n: must be at least 1, got {n}")
        X = self._unseen_start()[:n]
        self.seen.update(row_keys(X))
        if len(X) < n:
            X = np.concatenate((X, self.propose(n - len(X))[: n - len(X)])).astype(np.int16)
            self.seen.update(row_keys(X))
        self.out.update(row_keys(X))
        return X

    def _unseen_start(self) -> Rows:
        """The feasible rows of the problem's ``start`` that were not asked for yet."""
        start = self.problem.start
        if start is None or len(start) == 0:
            return np.zeros((0, len(self.space.choices)), dtype=np.int16)
        start = start[self.problem.feasible(start)]
        return start[[i for i, key in enumerate(row_keys(start)) if key not in self.seen]]

    def tell(self, X: Rows, F: Floats) -> None:
        """Record evaluated rows (n, G) with all their objectives (n, m), what is asked first."""
        self._pay(X, F, Fraction(1))
        self.X = np.concatenate((self.X, X)).astype(np.int16)
        self.values = np.concatenate((self.values, F))
        self.F = np.concatenate((self.F, self.problem.ranked(F)))
        self.told = np.concatenate((self.told, np.full(len(X), self.told[-1] + 1 if len(self.told) else 0)))
        self.cost = np.concatenate((self.cost, float(self.spent) - np.arange(len(X))[::-1]))

    def tell_part(self, X: Rows, F: Floats, share: Fraction) -> None:
        """Record rows evaluated on a share of the examples, as `tell` does: what they cost, and that they were seen. Searchers
        that ask for shares learn from the values."""
        self._pay(X, F, share)

    def _pay(self, X: Rows, F: Floats, share: Fraction) -> Floats:
        """Spend what rows cost; their objectives, charged."""
        F = np.asarray(F, dtype=np.float64)
        if F.shape != (len(X), self.F.shape[1]) or not np.isfinite(F).all():
            raise JobError(f"F: expected finite numbers of shape {(len(X), self.F.shape[1])}, got {F!r}")
        self.seen.update(row_keys(X))
        self.out.difference_update(row_keys(X))
        self.spent += len(X) * share
        return self.problem.charged(F)

    def wanted(self) -> Rows:
        """Rows (k, G) of which the problem's ``gradient`` is wanted now, within the budget: asked after every tell."""
        return self.X[:0]

    def tell_gradient(self, X: Rows, losses: Floats, gates: Floats) -> None:
        """Record what the problem's ``gradient`` said of rows (n, G): what it cost. Searchers that want it learn from it."""
        assert self.problem.gradient is not None
        self.spent += len(X) * self.problem.gradient.cost

    @abstractmethod
    def propose(self, n: int) -> Rows:
        """The searcher's idea: up to ``n`` unique feasible rows that are not in ``seen``."""


_SEARCHERS: dict[str, type[Searcher]] = {}


def register(searcher: type[Searcher]) -> type[Searcher]:
    """Class decorator: lists a searcher under its ``name``; a taken name is refused, never overwritten."""
    other = _SEARCHERS.get(searcher.name)
    if other is not None and other is not searcher:
        raise JobError(f"searcher {searcher.name!r} is already registered by {other.__module__}.{other.__qualname__}")
    _SEARCHERS[searcher.name] = searcher
    return searcher


def searcher_names(shares: bool = False) -> list[str]:
    """Names of the registered searchers, sorted; only with ``shares`` those that ask for evaluations on a share of the
    examples, which not every ``evaluate`` can give."""
    return sorted(name for name, searcher in _SEARCHERS.items() if shares or not searcher.shares)


def get_searcher(name: str) -> Callable[[Problem], Searcher]:
    """What makes the searcher of that name, or of several names joined by ``+``, one after the other (see
    `nas.search.chain`); JobError lists the legal names."""
    if "+" in name:
        from nas.search.chain import chain_of  # which needs this module

        return chain_of(name)
    if name not in _SEARCHERS:
        raise JobError(
            f"searcher: unknown name {name!r}, legal: {', '.join(searcher_names())}; "
            f"where examples can be shared out {', '.join(sorted(set(_SEARCHERS) - set(searcher_names())))}; "
            "or several, joined by +"
        )
    return _SEARCHERS[name]
