"""What an objective of a cell may depend on, against a walk over its graph; and that a process finds out which."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from predictors.cells import CELLS, Cell
from predictors.encoding import features_of
from predictors.process import ProcessPredictor
from predictors.views import OperatorView, leading, views_of
from search_spaces import get_space
from search_spaces.spaces.nas_bench_201 import EDGES

CELL = CELLS["nas-bench-201"]
FEATURES, WRITTEN, READ = views_of(features_of(get_space("nas-bench-201")))
rows = st.lists(st.integers(0, 4), min_size=6, max_size=6).map(lambda row: np.array([row]))


def _arrives(row: np.ndarray, point: int) -> bool:
    """Whether something leads from a point to the output, by walking."""
    return point == 3 or any(a == point and row[edge] != 0 and _arrives(row, b) for edge, (a, b) in enumerate(EDGES))


@given(rows)
def test_operators_that_lead_to_the_output_are_those_from_which_one_can_walk_there(row: np.ndarray) -> None:
    kept = [row[0, edge] if _arrives(row[0], b) else 0 for edge, (_, b) in enumerate(EDGES)]
    assert leading(CELL, row).tolist() == [kept]


@given(rows)
def test_between_what_is_written_and_what_is_connected(row: np.ndarray) -> None:
    read = leading(CELL, row)
    assert ((read == row) | (read == 0)).all()
    assert np.array_equal(CELL.live(read), CELL.live(row))
    assert np.array_equal(leading(CELL, read), read)


def test_a_cell_whose_edges_are_never_cut_is_as_written() -> None:
    cell = Cell("plain", EDGES, ("a", "b"), (1, 2), None, None)
    row = np.zeros((1, 6), np.int64)
    assert np.array_equal(leading(cell, row), row)


def test_operators_without_effect_are_told_apart_only_as_written() -> None:
    """Edge 0 -> 1 does something or nothing, and nobody reads point 1."""
    cells = np.array([[3, 2, 0, 2, 0, 2], [1, 2, 0, 2, 0, 2]])
    assert np.array_equal(*FEATURES(cells))
    assert not np.array_equal(*WRITTEN(cells))
    both = READ(cells)
    assert not np.array_equal(*both)
    assert np.array_equal(*OperatorView(CELL, False)(leading(CELL, cells)))
    assert READ.genes == 2 * WRITTEN.genes
    assert set(np.unique(both[:, : READ.genes])) == {0.0, 1.0}


def test_a_space_without_dead_genes_has_one_view() -> None:
    features = features_of(get_space("hybrid-vision/tiny"))
    assert views_of(features) == (features,)


@pytest.mark.parametrize("view", [0, 1, 2])
def test_a_process_finds_out_what_its_scores_depend_on(view: int) -> None:
    X = np.array(np.unravel_index(np.random.default_rng(0).permutation(5**6)[:400], (5,) * 6)).T
    cost = np.array([0.0, 0.1, 1.0, 3.0, 0.5])
    seen = (CELL.live(X), X, leading(CELL, X))[view]
    scores = -cost[seen].sum(axis=1)
    fitted = ProcessPredictor(FEATURES, None, (WRITTEN, READ)).fit(X[:80], scores[:80])
    assert fitted.kernel.view == view
    blind = ProcessPredictor((WRITTEN, FEATURES, FEATURES)[view]).fit(X[:80], scores[:80])
    missed = [np.abs(one.predict(X[80:])[0] - scores[80:]).mean() for one in (fitted, blind)]
    assert missed[0] < 0.7 * missed[1]
