"""Slimming: paths from the largest architecture down, and the searcher that asks for what lies on them."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from nas.errors import JobError
from nas.search import Problem, drive, get_searcher, run_search
from nas.search.slimming import Slimming
from search_spaces.space import SearchSpace

from .conftest import problem_of


def small(known: Any) -> SearchSpace:
    return known.space.restrict(
        {"stage*.depth": [1], "resolution": [8], "stage*.layer*.mixer": ["mbconv", "mhsa", "identity"]}
    )


def told(known: Any, rows: int = 60) -> Slimming:
    """A searcher that knows 60 architectures."""
    space = small(known)
    search = Slimming(Problem(space, 100, 10, known={"latency_ms": known.latency}))
    X = np.unique(space.sample(rows, np.random.default_rng(0)), axis=0)
    search.tell(X, np.column_stack((-known.accuracy(X), known.latency(X))))
    search.propose(1)
    return search


def test_a_path_leads_from_the_largest_to_where_nothing_saves(known: Any) -> None:
    search = told(known)
    for start in search._starts():
        path = search._path(start)
        ms = known.latency(path)
        assert np.array_equal(path[0], start)
        assert (np.diff(ms) < 0).all()
        assert (known.latency(search.space.neighbours(path[-1])) >= ms[-1] * (1 - 1e-8)).all()
        for one, other in itertools.pairwise(path):
            assert (search.space.neighbours(one) == other).all(axis=1).any()
    largest = search._starts()[0]
    assert np.array_equal(search.space.largest(largest[None])[0], largest)


def test_each_step_costs_least_for_what_it_saves(known: Any) -> None:
    search = told(known)
    path = search._path(search._starts()[0])
    model = search._learnt[0].model
    for one, other in itertools.pairwise(path):
        near = search.space.neighbours(one)
        near = near[known.latency(near) < known.latency(one[None])]
        price = (model(near) - model(one[None])) / (known.latency(one[None]) - known.latency(near))
        paid = (model(other[None]) - model(one[None])) / (known.latency(one[None]) - known.latency(other[None]))
        assert paid[0] == pytest.approx(price.min())


def test_what_is_asked_is_spread_over_the_latencies(known: Any) -> None:
    search = told(known)
    asked = search.ask(8)
    ms = np.sort(known.latency(asked))
    reach = known.latency(np.concatenate([search._path(row) for row in search._starts()]))
    assert ms[-1] > 0.5 * reach.max()
    assert ms[0] < 2.0 * reach.min()


def test_it_beats_random_search_at_equal_cost(known: Any) -> None:
    volumes = {
        name: np.mean(
            [
                run_search(
                    small(known), name, known.accuracy, known.latency, evaluations=40, population=10, seed=seed
                ).hypervolume((0.0, 3.0))
                for seed in range(2)
            ]
        )
        for name in ("slimming", "random")
    }
    assert volumes["slimming"] > 1.1 * volumes["random"]


def test_without_a_known_objective_it_says_what_it_needs(known: Any) -> None:
    with pytest.raises(JobError, match="searcher: 'slimming' saves an objective that is known before evaluation"):
        get_searcher("slimming")(Problem(known.space, 10, 5))
    assert problem_of(known, 1.0).known  # and with one it is made
    get_searcher("slimming")(problem_of(known, 1.0))


def test_several_asked_objectives_are_weighed(known: Any) -> None:
    space = small(known)
    problem = Problem(space, 30, 10, ("error", "size"), {"latency_ms": known.latency}, {"latency_ms": 1.0})
    found = drive(problem, "slimming", lambda X: np.column_stack((-known.accuracy(X), X.sum(axis=1))))
    assert found.F.shape == (30, 3)
    assert (found.F[:, 2] <= 1.0).all()
