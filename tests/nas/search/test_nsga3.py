"""The survivors of NSGA-III, against the definition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nas.search import pareto
from nas.search.nsga3 import directions, survivors


@pytest.mark.parametrize(("objectives", "most"), [(1, 5), (2, 20), (3, 20), (3, 92), (4, 40)])
def test_directions_cover_the_simplex_within_the_number(objectives: int, most: int) -> None:
    found = directions(objectives, most)
    assert len(found) >= objectives
    assert len(found) <= max(most, objectives)
    assert np.allclose(found.sum(axis=1), 1)
    assert (found >= 0).all()
    assert len(np.unique(found, axis=0)) == len(found)
    corners = np.eye(objectives)
    assert all((np.abs(found - corner).sum(axis=1) < 1e-12).any() for corner in corners)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 1000), points=st.integers(1, 60), objectives=st.integers(1, 4), n=st.integers(1, 40))
def test_whole_ranks_first_and_directions_in_turn(seed: int, points: int, objectives: int, n: int) -> None:
    F = np.random.default_rng(seed).random((points, objectives))
    kept = survivors(F, n)
    assert len(kept) == len(set(kept.tolist())) == min(n, points)
    rank = pareto.ranks(F)
    left = np.setdiff1d(np.arange(points), kept)
    assert len(left) == 0 or rank[kept].max() <= rank[left].min()
    assert (np.diff(rank[kept]) >= 0).all()


def test_crowded_directions_give_way() -> None:
    crowd = np.array([[0.5 + 1e-3 * i, 0.5 - 1e-3 * i] for i in range(10)])
    ends = np.array([[0.0, 1.0], [1.0, 0.0]])
    kept = survivors(np.vstack((crowd, ends)), 3)
    assert {10, 11} <= set(kept.tolist())
