"""Successive halving with racing: many candidates on few examples, those that may be good on more, the best on all.

Sources: Jamieson and Talwalkar, "Non-stochastic best arm identification and hyperparameter optimization", 2016
(arXiv 1502.07943); who goes on is decided by intervals, see `nas.search.racing`, and by rank only where the budget ends.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from nas.errors import JobError
from nas.search import pareto
from nas.search.base import Searcher, register
from nas.search.candidates import fresh
from nas.search.nsga2 import breed, survivors
from nas.search.problem import Floats, Problem, Rows
from nas.search.racing import PartError, beaten
from search_spaces.space import row_keys

SHARES = (Fraction(1, 9), Fraction(1, 3), Fraction(1))  # of the examples: a cohort goes up from the first to the last
CONFIDENCE = 0.95  # that what nothing dominates gets to the last
MEASURED = 10  # rows on which the errors of the shares are measured, at least


@register
class Halving(Searcher):
    """Cohorts of as many rows as are asked for, the first ``population`` rows random, later ones as NSGA-II breeds them from
    all that was told (what never got so far is dominated by something that did).

    The first ten or more rows all go up to the last share: they show how much scores on a share are worth. After them, of
    every cohort what is dominated beyond doubt is given up on each share.

    A share of an evaluation costs that share: a row that reaches the last has cost 1 4/9. Only what can be paid to the end
    is begun, and what is left for the last cohort is divided evenly over its shares, to its best; what remains after it,
    less than 1 4/9, goes to one more row if it is enough.

    Raises:
        JobError: the problem has no ``shares``, or a row that was asked for on a share was not told before the next ask.
    """

    name = "halving"
    shares = True

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        if not problem.shares:
            raise JobError(
                f"searcher: {self.name!r} evaluates on shares of the examples, and what evaluates here takes no share; "
                "legal: an evaluate(rows, share), or another searcher"
            )
        self._cohort: Rows = self.X  # what of it was asked for on ``share``
        self._parts: dict[tuple[bytes, Fraction], Floats] = {}  # (m,) objectives on a share
        self._errors: dict[Fraction, PartError] = {}

    def ask(self, n: int) -> Rows:
        """At most ``n`` feasible canonical rows (k, G): new ones, or those of the last ask that deserve a larger ``share``"""
        going_on = self._survivors()
        if len(going_on):
            self.share = SHARES[SHARES.index(self.share) + 1]
            self._cohort = going_on[: self._payable(self.share)]
        else:
            self._measure()
            self.share = SHARES[0] if self._payable(SHARES[0]) else SHARES[-1]
            payable = self._payable(self.share)
            self._cohort = super().ask(min(n, payable)) if payable else self.X[:0]
        return self._cohort

    def tell_part(self, X: Rows, F: Floats, share: Fraction) -> None:
        """See `Searcher.tell_part`."""
        F = self._pay(X, F, share)
        ours = set(row_keys(self._cohort))
        self._parts.update({(key, share): f for key, f in zip(row_keys(X), F, strict=True) if key in ours})

    def propose(self, n: int) -> Rows:
        """Up to ``n`` unseen feasible rows."""
        if len(self.X) == 0 or len(self.seen) < min(self.problem.population, self.problem.evaluations):
            return fresh(self.problem, n, self.seen, self.rng)
        keep = survivors(self.F, self.problem.population)
        return breed(self.problem, self.X[keep], n, self.seen, self.rng)

    def _payable(self, share: Fraction) -> int:
        """How many rows the budget allows on this share, so that at least one can go to the end."""
        left = self.problem.evaluations - self.spent
        later = SHARES[SHARES.index(share) + 1 :]
        for_this = min(left / (1 + len(later)), left - sum(later, Fraction(0)))
        return max(int(for_this / share), 0)

    def _survivors(self) -> Rows:
        """Rows of the cohort that nothing beats, best first; none after the last share."""
        if self.share == SHARES[-1] or len(self._cohort) == 0:
            return self._cohort[:0]
        keys = row_keys(self._cohort)
        if missing := sum((key, self.share) not in self._parts for key in keys):
            raise JobError(
                f"ask: {missing} of the {len(keys)} rows asked for last were not told; legal: tell_part first"
            )
        F = self._on(self.share, keys)
        good = np.ones(len(F), dtype=bool)
        if self._errors:
            front = self.F[pareto.non_dominated(self.F)]
            asked = len(self.problem.asked)
            doubt = (1 - CONFIDENCE) / len(self._errors)
            whole = front[:, :asked], front[:, asked:]
            good = ~beaten(F[:, :asked], self._errors[self.share], F[:, asked:], whole, doubt)
        return self._cohort[good][pareto.order(F[good])]

    def _measure(self) -> None:
        """The errors of the shares, once enough rows have been told on all of them: none of these was given up on any."""
        keys = row_keys(self.X)
        fair = [i for i, key in enumerate(keys) if (key, SHARES[0]) in self._parts]
        if not self._errors and len(fair) >= MEASURED:
            asked = slice(len(self.problem.asked))
            fair_keys = [keys[i] for i in fair]
            self._errors = {
                share: PartError.of(self._on(share, fair_keys)[:, asked], self.F[fair, asked]) for share in SHARES[:-1]
            }

    def _on(self, share: Fraction, keys: list[bytes]) -> Floats:
        """(n, m) objectives of rows on a share."""
        return np.array([self._parts[key, share] for key in keys])
