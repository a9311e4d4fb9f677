"""Predictor-guided NSGA-II: evolve on predicted quality, evaluate the predicted front, learn, repeat.

Sources: Lu et al., "NSGANetV2: evolutionary multi-objective surrogate-assisted NAS", 2020 (rounds of surrogate NSGA-II
and the choice of a spread subset of its front); the infill of uncertain rows follows the exploration term of upper
confidence bounds.
"""

from __future__ import annotations

import numpy as np

from nas.search import pareto
from nas.search.base import Floats, Rows, Searcher, register
from nas.search.candidates import admit, fresh, spread
from nas.search.nsga2 import breed, evolve, survivors
from predictors import AccuracyPredictor, features_of
from search_spaces.space import row_keys

EXPLORE = 0.5  # weight of the predictor's standard deviation in the quality that the inner search maximises
GENERATIONS = 25
INNER_POPULATION = 100
UNCERTAIN = 0.2  # share of a batch that goes to the least certain rows near the predicted front


@register
class PredictorNSGA2(Searcher):
    """A first sample (random and spread over latency), then a round of fit, inner NSGA-II and choice for every ask."""

    name = "predictor-nsga2"

    def propose(self, n: int) -> Rows:
        """Up to ``n`` unseen feasible rows."""
        first = max(min(self.problem.population, self.problem.evaluations // 2), 8)
        if len(self.X) < first:
            return self._first_sample(n)
        predictor = AccuracyPredictor(features_of(self.space), seed=self.problem.seed).fit(self.X, self.quality)

        def objectives(X: Rows) -> Floats:
            mean, std = predictor.predict(X)
            return np.column_stack((1.0 - mean - EXPLORE * std, self.problem.latency_ms(X)))

        start = self._start()
        rows, F = evolve(
            self.problem, start, objectives, self.rng, population=INNER_POPULATION, generations=GENERATIONS
        )
        unseen = np.array([key not in self.seen for key in row_keys(rows)], dtype=bool)
        rows, F = rows[unseen], F[unseen]
        chosen = self._choose(rows, F, predictor, n)
        missing = n - len(chosen)
        if missing > 0:
            seen = self.seen | set(row_keys(chosen))
            keep = survivors(self.objectives, self.problem.population)
            more = breed(self.problem, self.X[keep], self.objectives[keep], missing, seen, self.rng)
            chosen = np.concatenate((chosen, more))
        return chosen

    def _first_sample(self, n: int) -> Rows:
        """Half uniform, half spread over the latency of a larger sample with its smallest and largest relatives."""
        random = fresh(self.problem, (n + 1) // 2, self.seen, self.rng)
        pool = fresh(self.problem, 10 * n, self.seen | set(row_keys(random)), self.rng)
        pool = np.concatenate((pool, self.space.smallest(pool[: 2 * n]), self.space.largest(pool[: 2 * n])))
        pool = admit(self.problem, pool, self.seen | set(row_keys(random)))
        even = pool[spread(np.log(np.maximum(self.problem.latency_ms(pool), 1e-9)), n - len(random))]
        return np.concatenate((random, even))

    def _start(self) -> Rows:
        """Where the inner search starts: the best rows told, and random ones that keep it from narrowing."""
        best = self.X[survivors(self.objectives, INNER_POPULATION // 2)]
        best = best[self.problem.feasible(self.problem.latency_ms(best))]
        random = fresh(self.problem, INNER_POPULATION - len(best), set(row_keys(best)), self.rng)
        return np.concatenate((best, random))

    def _choose(self, X: Rows, F: Floats, predictor: AccuracyPredictor, n: int) -> Rows:
        """``n`` of the visited rows: a spread over the predicted front, and the least certain ones near it."""
        if len(X) <= n:
            return X
        rank = pareto.ranks(np.concatenate((F, self.objectives)))[: len(X)]  # what was told may dominate a prediction
        near = np.lexsort((-pareto.crowding_distance(F, rank), rank))[: 4 * n]
        uncertain = min(round(UNCERTAIN * n), n - 1)
        front = near[: max(int((rank[near] == rank[near[0]]).sum()), n - uncertain)]
        picked = front[spread(np.log(np.maximum(F[front, 1], 1e-9)), n - uncertain)]
        rest = near[~np.isin(near, picked)]
        _, std = predictor.predict(X[rest])
        infill = rest[np.argsort(-std, kind="stable")[: n - len(picked)]]
        return X[np.concatenate((picked, infill))]
