"""Searchers one after the other: `random+nsga2+local-search`, or with shares of the budget `random:0.2+nsga2:0.8`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from itertools import accumulate

import numpy as np

from nas.errors import JobError
from nas.search.base import Searcher, get_searcher
from nas.search.problem import Floats, Problem, Rows
from search_spaces.space import row_keys

SYNTAX = "searchers joined by +, each with its share of the evaluations after a colon, which sum to 1, or none with one"
Stage = tuple[str, Fraction]


class Chain(Searcher):
    """Stages, each a searcher with its share of the budget, and told everything since the first. The first one does what it
    does alone with that budget.

    Raises:
        JobError: a stage would get less than one evaluation, or is refused by its searcher.
    """

    def __init__(self, problem: Problem, stages: tuple[Stage, ...]) -> None:
        super().__init__(problem)
        ends = [round(share * problem.evaluations) for share in accumulate(share for _, share in stages)]
        if short := [name for (name, _), start, end in zip(stages, [0, *ends], ends, strict=False) if end <= start]:
            raise JobError(
                f"searcher: its stage {short[0]!r} gets no evaluation of {problem.evaluations}; legal: at least one each"
            )
        self._stages = [
            get_searcher(name)(replace(problem, evaluations=end, seed=_seed(problem.seed, place)))
            for place, ((name, _), end) in enumerate(zip(stages, ends, strict=True))
        ]
        self.shares = any(stage.shares for stage in self._stages)
        self._turn = 0

    def ask(self, n: int) -> Rows:
        """See `Searcher.ask`; the rows to start with are the first stage's concern."""
        X = self.propose(n)
        self.out.update(row_keys(X))
        return X

    def propose(self, n: int) -> Rows:
        """What the stage whose turn it is asks for; the next one's turn comes when its evaluations are spent or asked for, or
        it has nothing more to ask for."""
        while self._turn < len(self._stages):
            stage = self._stages[self._turn]
            stage.seen |= self.seen
            stage.out |= self.out
            left = int(stage.problem.evaluations - self.spent) - len(self.out)
            X = stage.ask(min(n, left)) if left >= 1 else self.X[:0]
            if len(X):
                self.share = stage.share
                self.seen |= stage.seen
                return X
            self._turn += 1
        return self.X[:0]

    def tell(self, X: Rows, F: Floats) -> None:
        """See `Searcher.tell`; every stage is told."""
        super().tell(X, F)
        for stage in self._stages:
            stage.tell(X, F)

    def tell_part(self, X: Rows, F: Floats, share: Fraction) -> None:
        """See `Searcher.tell_part`; every stage is told."""
        super().tell_part(X, F, share)
        for stage in self._stages:
            stage.tell_part(X, F, share)

    def wanted(self) -> Rows:
        """See `Searcher.wanted`: what the stage wants whose turn it is."""
        return self._stages[self._turn].wanted() if self._turn < len(self._stages) else self.X[:0]

    def tell_gradient(self, X: Rows, losses: Floats, gates: Floats) -> None:
        """See `Searcher.tell_gradient`; every stage is told."""
        super().tell_gradient(X, losses, gates)
        for stage in self._stages:
            stage.tell_gradient(X, losses, gates)


def chain_of(text: str) -> Callable[[Problem], Searcher]:
    """What makes the chain of that description. JobError where it is illegal: an unknown name, shares that are not positive
    numbers (0.2 or 1/3), or given for some stages only, or that do not sum to 1."""
    parts = [part.partition(":") for part in text.split("+")]
    for name, _, _ in parts:
        get_searcher(name)
    given = [share for _, colon, share in parts if colon]
    if not given:
        shares = [Fraction(1, len(parts))] * len(parts)
    else:
        try:
            shares = [Fraction(share) for share in given]
        except (ValueError, ZeroDivisionError):
            shares = []
    if len(shares) < len(parts) or min(shares) <= 0 or sum(shares) != 1:
        raise JobError(f"searcher: got the shares {', '.join(given)} in {text!r}; legal: {SYNTAX}")
    stages = tuple(zip((name for name, _, _ in parts), shares, strict=True))
    return lambda problem: Chain(problem, stages)


def _seed(seed: int, place: int) -> int:
    """Of a stage: two that draw at random must not draw the same."""
    return seed if place == 0 else int(np.random.default_rng([seed, place]).integers(2**32))
