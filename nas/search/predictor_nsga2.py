"""Predictor-guided NSGA-II: evolve on predictions, evaluate what promises most, learn, repeat.

Sources: Lu et al., "NSGANetV2: evolutionary multi-objective surrogate-assisted NAS", 2020 (rounds of surrogate NSGA-II);
the batch is chosen by expected hypervolume improvement (see `nas.search.acquisition`), which weighs what is predicted with
how uncertain it is.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from nas.search import pareto
from nas.search.acquisition import choose_batch
from nas.search.base import Searcher, register
from nas.search.candidates import admit, fresh, spread
from nas.search.nsga2 import breed, evolve, survivors
from nas.search.problem import Floats, Problem, Rows
from predictors import AccuracyPredictor
from predictors.process import Kernel, ProcessPredictor
from predictors.views import views_of
from search_spaces.space import row_keys

FIRST = 10  # rows told before anything is predicted
EXPLORE = 0.5  # standard deviations below the mean that the inner search minimises
GENERATIONS = 25
INNER_POPULATION = 100
ROUNDS = 20  # of fits, up to which the slower and better predictor is worth its seconds
GROWTH = 1.1  # of the rows told, after which the process chooses its kernel anew
NEAR = 400  # visited rows, the best by predicted rank, and as many beside the front, among which the batch is chosen


@register
class PredictorNSGA2(Searcher):
    """A first sample (random, and spread over known objectives), then fit, inner NSGA-II and choice for every ask."""

    name = "predictor-nsga2"

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self._kernels: dict[int, tuple[int, Kernel]] = {}  # of each asked objective, and from how many rows

    def propose(self, n: int) -> Rows:
        """Up to ``n`` unseen feasible rows."""
        if len(self.X) < FIRST:
            return self._first_sample(n)
        predictors = [self._fitted(column) for column in range(len(self.problem.asked))]

        def guess(X: Rows) -> tuple[Floats, Floats]:
            found = [predict(X) for predict in predictors]
            known = self.problem.known_values(X)
            mean = np.column_stack((*(-mean for mean, _ in found), known))
            return mean, np.column_stack((*(std for _, std in found), np.zeros_like(known)))

        def objectives(X: Rows) -> Floats:
            mean, std = guess(X)
            return mean - EXPLORE * std

        rows, F = evolve(
            self.problem, self._start(), objectives, self.rng, population=INNER_POPULATION, generations=GENERATIONS
        )
        unseen = np.array([key not in self.seen for key in row_keys(rows)], dtype=bool)
        rows = rows[unseen][pareto.order(F[unseen])[:NEAR]]
        rows = np.concatenate((rows, self._around(rows)))
        chosen = rows
        if len(rows) > n:
            mean, std = guess(rows)
            told = self._scaled(self.F)
            front = told[pareto.non_dominated(told)]
            reference = told.max(axis=0) + 0.1 * np.ptp(told, axis=0) + 1e-12
            chosen = rows[choose_batch(self._scaled(mean), std, front, reference, n, len(self.X))]
        missing = n - len(chosen)
        if missing > 0:
            seen = self.seen | set(row_keys(chosen))
            keep = survivors(self.F, self.problem.population)
            more = breed(self.problem, self.X[keep], missing, seen, self.rng)
            chosen = np.concatenate((chosen, more))
        return chosen

    def _fitted(self, column: int) -> Callable[[Rows], tuple[Floats, Floats]]:
        """Mean and standard deviation of rows in an asked objective, negated, from all told."""
        batch = self.problem.batch or self.problem.population
        scores = -self.F[:, column]
        if self.problem.evaluations <= ROUNDS * batch:
            return AccuracyPredictor(self.problem.features, self.problem.seed).fit(self.X, scores).predict
        count, kernel = self._kernels.get(column, (0, None))
        renewed = len(self.X) > GROWTH * count
        features, *others = views_of(self.problem.features)
        predictor = ProcessPredictor(features, None if renewed else kernel, others).fit(self.X, scores)
        if renewed:
            self._kernels[column] = len(self.X), predictor.kernel
        return partial(predictor.predict, noise=False, upwards=True)

    def _scaled(self, F: Floats) -> Floats:
        """Objectives (n, m) with positive known ones as logarithms: a tenth less latency is worth the same to all."""
        asked = len(self.problem.asked)
        positive = (self.F[:, asked:] > 0).all(axis=0)
        known = F[:, asked:]
        return np.column_stack((F[:, :asked], np.where(positive, np.log(np.where(positive, known, 1.0)), known)))

    def _first_sample(self, n: int) -> Rows:
        """Half uniform, half spread over the first known objective of a larger sample with its smallest and largest
        relatives; all uniform where nothing is known."""
        if not self.problem.known:
            return fresh(self.problem, n, self.seen, self.rng)
        random = fresh(self.problem, (n + 1) // 2, self.seen, self.rng)
        pool = fresh(self.problem, 10 * n, self.seen | set(row_keys(random)), self.rng)
        pool = np.concatenate((pool, self.space.smallest(pool[: 2 * n]), self.space.largest(pool[: 2 * n])))
        pool = admit(self.problem, pool, self.seen | set(row_keys(random)))
        known = self.problem.known_values(pool)[:, 0]
        return np.concatenate((random, pool[spread(np.log(np.maximum(known, 1e-9)), n - len(random))]))

    def _around(self, rows: Rows) -> Rows:
        """Unseen feasible neighbours of the front told that are not among ``rows``: what the inner search passes by."""
        front = self.X[pareto.non_dominated(self.F)]
        near = np.concatenate([self.space.neighbours(row) for row in front])
        near = admit(self.problem, near, self.seen | set(row_keys(rows)))
        return self.rng.permutation(near)[:NEAR]

    def _start(self) -> Rows:
        """Where the inner search starts: the best rows told, and random ones that keep it from narrowing."""
        best = self.X[survivors(self.F, INNER_POPULATION // 2)]
        best = best[self.problem.feasible(best)]
        random = fresh(self.problem, INNER_POPULATION - len(best), set(row_keys(best)), self.rng)
        return np.concatenate((best, random))
