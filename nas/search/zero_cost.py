"""Zero-cost search: of many architectures those first that a proxy ranks best, before anything was evaluated.

Source: Abdelfattah, Mehrotra, Dudziak and Lane, "Zero-cost proxies for lightweight NAS", 2021 (arXiv 2101.08134), who warm
up other searchers with it: `zero-cost+nsga2`. The proxies here are parameters and multiply-accumulates, which need neither
weights nor data, and which few other proxies beat (White et al., "A deeper look at zero-cost proxies for lightweight NAS",
2022).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from nas.errors import JobError
from nas.search import pareto
from nas.search.base import Searcher, register
from nas.search.candidates import admit, fresh
from nas.search.problem import Problem, Rows
from search_spaces import cost
from search_spaces.space import Additive, SearchSpace, row_keys

POOL = 10  # random rows looked at for one asked for
LEAST = 2  # of them within the limits, repaired if need be


@register
class ZeroCost(Searcher):
    """Of a random sample, ten times larger than what is asked for, the best by Pareto rank and crowding in the proxy, which
    is to be large, and the known objectives. It learns nothing from what it is told.

    The proxy is the mean of a row's ranks in the sample by parameters and by multiply-accumulates.

    Raises:
        JobError: the space does not say what its operators are.
    """

    name = "zero-cost"

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        if not self.space.slots:
            raise JobError(
                f"searcher: {self.name!r} counts the parameters and multiply-accumulates of operators, and the space "
                f"{self.space.name!r} has none; legal: a space of operators, or another searcher"
            )

    def propose(self, n: int) -> Rows:
        """Up to ``n`` unseen feasible rows, the best of the sample first."""
        from scipy.stats import rankdata  # late: it takes long to import

        pool = admit(self.problem, self.space.sample(POOL * n, self.rng), self.seen)
        if (missing := LEAST * n - len(pool)) > 0:
            pool = np.concatenate((pool, fresh(self.problem, missing, self.seen | set(row_keys(pool)), self.rng)))
        if len(pool) == 0:
            return pool
        rank = np.mean([rankdata(proxy.score(pool)) for proxy in _proxies(self.space)], axis=0)
        return pool[pareto.order(np.column_stack((-rank, self.problem.known_values(pool))))[:n]]


@lru_cache(maxsize=4)  # an Optuna sampler makes a searcher for every trial
def _proxies(space: SearchSpace) -> tuple[Additive, Additive]:
    return space.additive(lambda spec: cost(spec).parameters), space.additive(lambda spec: cost(spec).macs)
