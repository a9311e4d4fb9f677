"""Random search, the control of all others (Li and Talwalkar, "Random search and reproducibility for NAS", 2019)."""

from __future__ import annotations

from nas.search.base import Searcher, register
from nas.search.candidates import fresh
from nas.search.problem import Rows


@register
class RandomSearch(Searcher):
    """Feasible rows, every gene uniform over its legal values, without repeats."""

    name = "random"

    def propose(self, n: int) -> Rows:
        """Up to ``n`` unseen feasible random rows."""
        return fresh(self.problem, n, self.seen, self.rng)
