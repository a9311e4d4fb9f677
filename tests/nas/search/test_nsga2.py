"""The children of NSGA-II: crosses or one-gene mutants of good parents."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nas.bench.engine import additive_objectives, plain_space
from nas.bench.table_space import TableSpace
from nas.search import Problem, pareto
from nas.search.nsga2 import CROSSED, breed, evolve, offspring
from search_spaces.space import row_keys

PLAIN = plain_space(genes=12, choices=4)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), size=st.integers(1, 30))
def test_every_child_is_a_cross_of_two_or_one_gene_from_one(seed: int, size: int) -> None:
    rng = np.random.default_rng(seed)
    X = PLAIN.sample(size, rng)
    known = set(row_keys(X))
    for child in offspring(PLAIN, X, 40, rng):
        differs = (child != X).sum(axis=1)
        of_two = any(((child == a) | (child == b)).all() for a in X for b in X)
        assert of_two or differs.min() == 1
    mutants = [child for child in offspring(PLAIN, X[:1], 40, rng) if row_keys(child[None])[0] not in known]
    assert len(mutants) == 40 or size > 1  # a population of one has nothing to cross


def test_parents_win_tournaments_and_copies_alone_are_mutated() -> None:
    rng = np.random.default_rng(0)
    genes = 40  # so many that a cross of two different rows is no copy, nor near to one
    space = plain_space(genes, 4)
    X = np.stack([np.full(genes, value, np.int16) for value in range(4)])  # a gene tells which parent it is from
    children = offspring(space, X, 20_000, rng)
    counts = (children[:, :, None] == np.arange(4)).sum(axis=1)
    top = counts.max(axis=1)
    mutants = top == genes - 1
    wins = np.array([7, 5, 3, 1]) / 16  # of two at random the better one
    assert mutants.mean() == pytest.approx(CROSSED * (wins**2).sum() + 1 - CROSSED, abs=0.015)
    assert (top < genes).all()
    crossed = counts[~mutants]
    assert ((crossed > 0).sum(axis=1) == 2).all()  # genes of two parents, nothing else
    shares = wins * (1 - wins) / (1 - (wins**2).sum())  # of the genes of crosses of two different rows
    assert crossed.mean(axis=0) / genes == pytest.approx(shares, abs=0.015)


@pytest.mark.parametrize("population", [1, 2, 15])
def test_conditional_spaces_keep_canonical_children_that_are_no_parent(known: Any, population: int) -> None:
    rng = np.random.default_rng(3)
    for _ in range(20):
        X = known.space.sample(population, rng)
        children = offspring(known.space, X, 60, rng)
        assert children.shape == (60, X.shape[1])
        assert children.dtype == X.dtype
        assert np.array_equal(children, known.space.canonicalise(children))
        if population == 1:
            assert (children != X).any(axis=1).all()


def test_children_of_a_table_with_gaps_are_rows_of_it() -> None:
    rng = np.random.default_rng(1)
    codes = np.unique(rng.integers(3, size=(200, 7)), axis=0)
    space = TableSpace("gaps", [f"gene{i}" for i in range(7)], codes)
    rows = set(row_keys(space.rows))
    X = space.sample(10, rng)
    assert set(row_keys(offspring(space, X, 300, rng))) <= rows
    few = offspring(space, X[:1], 300, rng)
    assert (few != X[0]).any(axis=1).all()


def test_breeding_goes_on_when_every_neighbour_of_the_population_is_known() -> None:
    problem = Problem(PLAIN, 10, 10, ("a", "b"))
    rng = np.random.default_rng(2)
    X = PLAIN.sample(1, rng)
    seen = set(row_keys(np.concatenate((X, PLAIN.neighbours(X[0])))))
    found = breed(problem, X, 8, set(seen), rng)
    assert len(found) == len(set(row_keys(found)) - seen) == 8


def test_it_finds_the_front_of_two_sums_that_random_rows_hardly_touch() -> None:
    rng = np.random.default_rng(4)
    space = plain_space(genes=6, choices=4)
    objectives = additive_objectives(space, rng)
    every = np.stack(np.meshgrid(*[np.arange(4)] * 6), axis=-1).reshape(-1, 6).astype(np.int16)
    F = objectives(every)
    corner = F.max(axis=0)
    problem = Problem(space, 10_000, 20, ("a", "b"))
    rows, found = evolve(problem, space.sample(20, rng), objectives, rng, population=20, generations=19)
    chance = pareto.hypervolume(objectives(space.sample(len(rows), rng)), corner)
    whole = pareto.hypervolume(F, corner)
    assert len(set(row_keys(rows))) == len(rows) <= 400
    assert whole - pareto.hypervolume(found, corner) < 0.2 * (whole - chance)
