"""Features of cells against counts by hand on the graph itself."""

from __future__ import annotations

import itertools

import networkx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from predictors.cell_features import CellFeatures
from predictors.cells import CELLS, Cell

CELL = CELLS["nas-bench-201"]
FEATURES = CellFeatures(CELL)
rows = st.lists(st.integers(0, len(CELL.operations) - 1), min_size=6, max_size=6)


def graph(cell: Cell, row: list[int]) -> networkx.DiGraph:
    """The cell without its cut edges."""
    made = networkx.DiGraph()
    made.add_nodes_from({point for edge in cell.edges for point in edge})
    made.add_edges_from(
        (*edge, {"code": code}) for edge, code in zip(cell.edges, row, strict=True) if code != cell.none
    )
    return made


def ways(cell: Cell, row: list[int]) -> list[list[int]]:
    """Operations along every whole path."""
    made, last = graph(cell, row), max(b for _, b in cell.edges)
    return [
        [made.edges[a, b]["code"] for a, b in itertools.pairwise(path)]
        for path in networkx.all_simple_paths(made, 0, last)
    ]


@given(rows)
def test_live_edges_are_those_on_a_whole_path(row: list[int]) -> None:
    made = graph(CELL, row)
    live = CELL.live(np.array([row]))[0]
    for edge, code, kept in zip(CELL.edges, row, live, strict=True):
        on_a_path = code != CELL.none and networkx.has_path(made, 0, edge[0]) and networkx.has_path(made, edge[1], 3)
        assert kept == (code if on_a_path else CELL.none)
    assert CELL.connected(np.array([row]))[0] == networkx.has_path(made, 0, 3)


@given(rows, st.integers(0, 5), st.integers(0, 4))
def test_what_is_not_connected_is_not_seen(row: list[int], edge: int, other: int) -> None:
    live = CELL.live(np.array([row]))[0].tolist()
    if live[edge] == CELL.none and row[edge] != CELL.none:
        changed = [*row[:edge], CELL.none, *row[edge + 1 :]]
        assert np.array_equal(FEATURES(np.array([row])), FEATURES(np.array([changed])))
    assert FEATURES(np.array([row]))[0, : FEATURES.genes].sum() == len(CELL.edges)


@given(rows)
def test_paths_are_counted_by_the_operations_they_use(row: list[int]) -> None:
    found = FEATURES._by_subset(CELL.live(np.array([row])))[0]
    there = [code for code in range(5) if code != CELL.none]
    subsets = [set(s) for size in range(1, 5) for s in itertools.combinations(there, size)]
    each = len(found) // len(subsets)
    for number, subset in enumerate(subsets):
        lengths = [len(way) for way in ways(CELL, row) if set(way) <= subset]
        expected = [len(lengths), max(lengths, default=0), min(lengths, default=4)]
        assert found[number * each : number * each + 3].tolist() == expected


@given(rows)
def test_sequences_are_those_of_the_paths_without_what_does_nothing(row: list[int]) -> None:
    counts = FEATURES._sequences(CELL.live(np.array([row])))[0]
    words = [tuple(code for code in way if code != CELL.skip) for way in ways(CELL, row)]
    assert counts.sum() == len(words)
    assert sorted(counts[counts > 0].tolist()) == sorted(words.count(word) for word in set(words))


@pytest.mark.parametrize("name", CELLS)
def test_every_cell_has_features_of_one_width(name: str) -> None:
    cell = CELLS[name]
    features = CellFeatures(cell)
    X = np.random.default_rng(0).integers(len(cell.operations), size=(500, len(cell.edges)))
    assert features(X).shape == (500, features.width)
    live = np.unique(cell.live(X), axis=0)
    assert len(np.unique(features(X), axis=0)) == len(live)
