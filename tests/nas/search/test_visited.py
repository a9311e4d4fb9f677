"""What NSGA-II keeps and meets again: the same as a set, a full sort and the plain definitions say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nas.bench.engine import additive_objectives, plain_space
from nas.search import Problem, pareto
from nas.search.candidates import admit
from nas.search.nsga2 import Visited, evolve, offspring
from search_spaces.space import row_keys


def new_by_a_set(batches: list[np.ndarray]) -> list[list[bool]]:
    """The masks of `Visited.add`, from a set of keys."""
    seen: set[bytes] = set()
    masks = []
    for X in batches:
        mask = []
        for key in row_keys(X):
            mask.append(key not in seen)
            seen.add(key)
        masks.append(mask)
    return masks


@pytest.mark.parametrize("hashing", ["as it is", "all to one place", "to two places"])
@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), genes=st.integers(1, 5), values=st.integers(1, 4))
def test_visited_is_a_set_whatever_collides(hashing: str, seed: int, genes: int, values: int) -> None:
    rng = np.random.default_rng(seed)
    batches = [rng.integers(values, size=(n, genes)).astype(np.int16) for n in rng.integers(0, 40, size=6)]
    visited = Visited(genes, max(1, sum(map(len, batches))))
    if hashing == "all to one place":
        visited._factors[:] = 0
    if hashing == "to two places":
        visited._factors[:] = 0
        visited._factors[0] = 2**63
    assert [visited.add(X).tolist() for X in batches] == new_by_a_set(batches)


def test_random_rows_seldom_share_a_place() -> None:
    rng = np.random.default_rng(0)
    X = plain_space(40, 6).sample(5000, rng)
    visited = Visited(40, len(X))
    assert visited.add(X).all()
    assert len(visited._others) < 0.125 * len(X)  # at most an eighth of the places is taken


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(0, 300), m=st.integers(1, 4), levels=st.integers(1, 50))
def test_the_best_few_are_the_start_of_the_whole_order(seed: int, n: int, m: int, levels: int) -> None:
    rng = np.random.default_rng(seed)
    F = rng.integers(-levels, levels, size=(n, m)).astype(float)
    whole = pareto.order(F)
    rank = pareto.ranks(F)
    assert whole.tolist() == np.lexsort((-pareto.crowding_distance(F, rank), rank)).tolist()
    for most in (1, n // 2, n, n + 3):
        assert pareto.order(F, most).tolist() == whole[:most].tolist()


@pytest.mark.parametrize("population", [1, 7, 40])
def test_evolving_is_the_plain_loop_with_a_set(population: int) -> None:
    for genes, choices in ((3, 3), (12, 4)):  # the first is soon exhausted
        space = plain_space(genes, choices)
        objectives = additive_objectives(space, np.random.default_rng(1))
        problem = Problem(
            space, 1000, population, ("a",), known={"b": lambda X: 1.0 + X[:, 0]}, limits={"b": choices - 1.0}
        )
        start = admit(problem, space.sample(60, np.random.default_rng(2)), set())[:population]
        rows, F = evolve(problem, start, objectives, np.random.default_rng(3), population=population, generations=15)

        rng = np.random.default_rng(3)
        expected, X = start, start[pareto.order(objectives(start))]
        for _ in range(15):
            children = admit(problem, offspring(space, X, population, rng), set(row_keys(expected)))
            if len(children) == 0:
                continue
            expected, X = np.concatenate((expected, children)), np.concatenate((X, children))
            X = X[pareto.order(objectives(X))[:population]]
        assert np.array_equal(rows, expected)
        assert np.array_equal(F, objectives(expected))
