"""Exact assembly: learn what every choice adds, then build the best architecture there can be by an integer programme.

Sources: Puzzle (Bercovich et al., arXiv 2411.19146) and Jet-Nemotron's PostNAS (Gu et al., 2025), where scores of blocks add up
and the best network under a limit is an integer programme; AutoBuild (Mills et al., arXiv 2403.13293) for the scores. There
blocks are scored one by one; here scores are learnt from whole networks, and the programme is solved for a draw of what they
may be (Thompson sampling; Russo et al., "A tutorial on Thompson sampling", 2018): a drawn sum is a sum again, while the
standard error of a sum is none.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from nas.search import pareto
from nas.search.base import register
from nas.search.candidates import admit
from nas.search.learnt import LearntSearcher
from nas.search.places import EXACT, Places, Tables
from nas.search.problem import Floats, Problem, Rows, Scores
from nas.search.programme import Limit, Programme, assemble
from search_spaces.space import GENE, row_keys

__all__ = ["Assembly", "assemble"]

EXPLORE = 0.5  # of the way from what is likeliest to a draw
NODES = 200  # of branch and bound, a programme
CUTS = 30  # rows seen that a programme rules out from the start; with more it takes long, and finds little
TRIES = 8  # programmes for one row, each without what the last one found
BEST = 5  # rows told whose neighbours are what a programme has to beat
BEYOND = 0.1  # of the sweep over an objective, at either end: there one objective alone counts


@dataclass(frozen=True)
class KnownSum:
    """A known objective as a sum over places, of itself or of its logarithm; ``exact`` if that is all there is to it."""

    tables: Tables
    log: bool
    exact: bool

    def level(self, value: float) -> float:
        """A value of the objective, as the sum has it."""
        return float(np.log(value)) if self.log and value > 0 else value

    @classmethod
    def of(cls, places: Places, score: Scores) -> KnownSum:
        """The sum that is nearer; see `Assembly`."""
        plain = places.tables(score)
        error = places.error(plain, score)
        if error <= EXACT or (places.values(score) <= 0).any():
            return cls(plain, False, error <= EXACT)

        def logarithm(X: Rows) -> Floats:
            return np.asarray(np.log(np.maximum(score(X), 1e-300)))

        logged = places.tables(logarithm)
        log_error = places.error(logged, logarithm)
        return cls(logged, True, log_error <= EXACT) if log_error < error else cls(plain, False, False)


@register
class Assembly(LearntSearcher):
    """A sample that covers every choice; then every row is the optimum of an integer programme.

    It minimises what was learnt of the first asked objective, while another objective, known where there is one, stays below a
    level; levels are spread over the range of the front, and beyond its ends one of the two counts alone. Further objectives
    stay below those of a row of the front told, and hard limits are constraints. With one objective these are the best rows of
    the learnt sum. Rows seen are ruled out; where more than `CUTS` of them are better than the best unseen neighbour of the
    best told, that neighbour is taken instead.

    Known objectives that are sums over the space's operators, or logarithms of which that is true, enter exactly; a latency
    predicted from a table is one, its correction for whole networks included. Of others, such as latencies transferred to a
    device without a table, the sum that agrees with them wherever one place differs from a random architecture enters; what is
    found is then held against the true limits, and sought again below a lower limit where it breaks them.

    JobError at the start where the space is so entangled that its places are too many.
    """

    name = "assembly"

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self._places = Places(problem.space)

    @cached_property
    def _programme(self) -> Programme:
        return Programme(self._places)

    @cached_property
    def _known(self) -> dict[str, KnownSum]:
        return {name: KnownSum.of(self._places, score) for name, score in self.problem.known.items()}

    def _make(self, n: int, taken: set[bytes]) -> Rows:
        found, taken = [self.X[:0]], set(taken)
        self._rival = self._neighbours(taken)
        for i in range(n):
            row = self._built(i, n, taken)
            taken |= set(row_keys(row))
            found.append(row)
        return np.concatenate(found)

    def _neighbours(self, taken: set[bytes]) -> Rows:
        """Unseen feasible neighbours of the best rows told."""
        best = self.X[pareto.order(self.F)[:BEST]]
        return admit(self.problem, np.concatenate([self.space.neighbours(row) for row in best]), taken)

    def _built(self, i: int, n: int, taken: set[bytes]) -> Rows:
        """The i-th of n rows (1, G), or none (0, G)."""
        sums = [self._places.gene_tables(one.model.terms, one.optimistic(self.rng, EXPLORE)) for one in self._learnt]
        hard = [(name, self._known[name].level(limit)) for name, limit in self.problem.limits.items()]
        share = (i + self.rng.random()) / n * (1 + 2 * BEYOND) - BEYOND
        soft = self._levels(share, sums)
        if share < 0 and soft:
            row = self._best(soft[0][0], hard, [], taken)
            if len(row):
                return row
        for limits in (soft, soft[:1], []) if soft else ([],):  # fewer, where no architecture meets all
            row = self._best(sums[0], hard, limits, taken)
            if len(row):
                return row
        return self.X[:0]

    def _levels(self, share: float, sums: list[Tables]) -> list[Limit]:
        """What the objectives but the first asked one may be at most: the swept one first.

        ``share`` says where the swept one stands between the least told and that of the row told that is best without it.
        """
        if len(self.problem.names) == 1:
            return []
        front = self.F[pareto.non_dominated(self.F)]
        member = front[self.rng.integers(len(front))]
        asked = len(self._learnt)
        others = [*range(asked, len(self.problem.names)), *range(1, asked)]  # known ones first
        found = []
        for place, column in enumerate(others):
            value = float(member[column])
            if place == 0:
                ends = np.array([front[:, column].min(), front[np.argmin(front[:, 0]), column]])
                if share > 1:
                    continue
                log = column >= asked and ends[0] > 0
                ends = np.log(ends) if log else ends
                value = float(ends[0] + share * (ends[1] - ends[0]))
                value = float(np.exp(value)) if log else value
            if column >= asked:
                known = self._known[self.problem.names[column]]
                found.append((known.tables, known.level(value)))
            else:
                one = self._learnt[column]
                found.append((sums[column], one.level(value) - one.model.constant))
        return found

    def _best(self, score: Tables, hard: list[tuple[str, float]], soft: list[Limit], taken: set[bytes]) -> Rows:
        """The row (1, G) that is best by a sum within limits and new, or none (0, G)."""
        places = self._places
        limits = [(self._known[name].tables, level) for name, level in hard] + soft

        def judged(X: Rows) -> tuple[NDArray[np.int64], Floats]:
            """Where rows stand, and their score; infinite beyond a limit."""
            where = places.where(X)
            values = places.sums(score, where)
            for tables, level in limits:
                values[places.sums(tables, where) > level] = np.inf
            return where, values

        rival = admit(self.problem, self._rival, taken)
        values = judged(rival)[1] if len(rival) else np.zeros(0)
        least = float(values.min()) if len(values) else np.inf
        where, seen = judged(np.array([np.frombuffer(key, GENE) for key in sorted(taken)]))
        better = np.flatnonzero((seen <= least) & np.isfinite(seen))
        if len(better) > CUTS and np.isfinite(least):
            return rival[[int(np.argmin(values))]]
        ruled = where[better[np.argsort(seen[better], kind="stable")[:CUTS]]]
        for _ in range(TRIES):
            row, _ = self._programme.solve(score, limits, ruled, NODES)
            if row is None:
                break
            there = self.space.crossover(row[None], row[None], self.rng)  # itself, or the nearest that the space has
            if len(new := admit(self.problem, there, taken)):
                if len(rival) and judged(new)[1][0] > least:
                    break
                return new
            ruled = np.concatenate((ruled, places.where(row[None])))
            for i, (name, _) in enumerate(hard):
                limits[i] = self._lowered(name, limits[i], there)
        return rival[[int(np.argmin(values))]] if np.isfinite(least) else self.X[:0]

    def _lowered(self, name: str, limit: Limit, row: Rows) -> Limit:
        """A hard limit, lowered by as much as a row (1, G) that keeps it by its sum breaks it in truth."""
        known = self._known[name]
        over = known.level(float(self.problem.known[name](row)[0])) - known.level(self.problem.limits[name])
        return limit if known.exact or over <= 0 else (limit[0], limit[1] - over)
