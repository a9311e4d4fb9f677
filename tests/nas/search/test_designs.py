"""Known designs in the space: legal rows, evaluated once, and where a search begins if the job says so."""

from functools import cache

import numpy as np
import pytest

from nas.metric import ACCURACY
from nas.search.base import searcher_names
from nas.search.designs import designs_frame, designs_in, start_rows
from nas.search.driver import run_search
from search_spaces import cost, get_space
from search_spaces.additive import Additive

SPACE = get_space("hybrid-vision/tiny")


@cache
def additive() -> Additive:
    """MACs of the space: made by the worker that runs these tests, not by all that collect them."""
    return SPACE.additive(lambda spec: cost(spec).macs / 1e6)


def macs(rows: np.ndarray) -> np.ndarray:
    return additive().score(rows)


class Predictor:
    def ms(self, rows: np.ndarray) -> np.ndarray:
        return macs(rows)


def quality(rows: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-macs(rows) / 10))


def test_every_design_is_a_canonical_row_and_stands_once() -> None:
    rows = start_rows(SPACE)
    assert len(rows) == len(designs_in(SPACE)) == len(np.unique(rows, axis=0)) >= 5
    assert (SPACE.canonicalise(rows) == rows).all()


def test_a_space_without_the_designs_mixers_has_none() -> None:
    assert len(start_rows(SPACE.restrict({"*.mixer": ["nc_ssd"]}))) == 0


def test_the_frame_names_each_point_with_its_figures() -> None:
    frame = designs_frame(SPACE, quality, Predictor(), ACCURACY)
    rows = start_rows(SPACE)
    assert frame["accuracy"].to_numpy() == pytest.approx(quality(rows))
    assert frame["latency_ms"].to_numpy() == pytest.approx(macs(rows))
    assert any("convnext" in name for name in frame["design"])


@pytest.mark.parametrize("searcher", searcher_names())
def test_every_searcher_begins_with_the_feasible_start_rows(searcher: str) -> None:
    start = start_rows(SPACE)
    limit = float(np.median(macs(start)))
    result = run_search(
        SPACE, searcher, quality, macs, evaluations=24, population=5, max_latency_ms=limit, seed=1, start=start
    )
    wanted = start[macs(start) <= limit]
    assert (result.X[: len(wanted)] == wanted).all()
    assert len(np.unique(result.X, axis=0)) == 24
    assert (result.latency_ms <= limit).all()
