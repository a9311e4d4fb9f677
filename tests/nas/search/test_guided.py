"""What the guided search chooses its batches from, and what it learns objectives of a cell by."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nas.search import Problem, drive, pareto
from nas.search.predictor_nsga2 import NEAR, PredictorNSGA2
from predictors.cells import CELLS
from search_spaces import get_space
from search_spaces.space import row_keys

SPACE = get_space("nas-bench-201")
CELL = CELLS["nas-bench-201"]
COST = np.array([0.0, 0.1, 1.0, 3.0, 0.5])
Rows = NDArray[np.int16]


def quality_and_ms(X: Rows) -> NDArray[np.float64]:
    """A quality of what is connected, negated, and the latency of a device that runs all that is written."""
    return np.column_stack((-np.sqrt(COST[CELL.live(X.astype(np.int64))].sum(axis=1)), 1.0 + COST[X].sum(axis=1)))


def told(limit: float | None = None) -> PredictorNSGA2:
    known = {} if limit is None else {"size": lambda X: 1.0 + (X == 3).sum(axis=1)}
    limits = {} if limit is None else {"size": limit}
    searcher = PredictorNSGA2(Problem(SPACE, 200, 20, ("-quality", "ms"), known, limits, batch=2))
    X = searcher.ask(10)
    for _ in range(4):
        searcher.tell(X, np.column_stack((quality_and_ms(X), searcher.problem.known_exactly(X))))
        X = searcher.ask(5)
    return searcher


def test_beside_the_front_are_its_unseen_feasible_neighbours() -> None:
    searcher = told(limit=3.0)
    front = searcher.X[pareto.non_dominated(searcher.F)]
    all_of_them = np.concatenate([SPACE.neighbours(row) for row in front])
    taken = all_of_them[:7]
    found = searcher._around(taken)
    assert 0 < len(found) <= NEAR
    assert ((found[:, None] != front).sum(axis=2).min(axis=1) == 1).all()
    assert searcher.problem.feasible(found).all()
    keys = row_keys(found)
    assert len(set(keys)) == len(keys)
    assert not set(keys) & (searcher.seen | set(row_keys(taken)))
    legal = all_of_them[searcher.problem.feasible(all_of_them)]
    left = set(row_keys(legal)) - searcher.seen - set(row_keys(taken))
    assert len(keys) == min(NEAR, len(left))
    assert set(keys) <= left


def test_it_learns_which_objective_depends_on_what_is_written() -> None:
    """A latency by operators as they are written, so that it is known of all cells from 44; what is connected not by these."""
    one = drive(Problem(SPACE, 44, 20, ("-quality", "ms"), batch=2), "predictor-nsga2", quality_and_ms)
    assert isinstance(one, PredictorNSGA2)
    assert one._kernels[0][1].view != 1
    assert one._kernels[1][1].view == 1
    every = np.array(np.unravel_index(np.arange(5**6), (5,) * 6), dtype=np.int16).T[::7]
    mean = one._fitted(1)(every)[0]
    assert np.abs(mean + quality_and_ms(every)[:, 1]).mean() < 0.5
