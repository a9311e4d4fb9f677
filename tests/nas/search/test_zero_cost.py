"""Zero-cost search: what parameters and multiply-accumulates rank first, without an evaluation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nas.errors import JobError
from nas.search import Problem, get_searcher, pareto
from search_spaces import cost
from search_spaces.space import Choice, SearchSpace

from .conftest import problem_of


def costs(space: SearchSpace, X: np.ndarray) -> np.ndarray:
    """(n, 2) parameters and MACs, from the operators of one architecture after the other."""
    specs = [space.architecture(row).specs for row in X]
    return np.array([[sum(getattr(cost(s), what) for s in one) for what in ("parameters", "macs")] for one in specs])


def test_without_known_objectives_the_largest_come_first(known: Any) -> None:
    asked = get_searcher("zero-cost")(Problem(known.space, 20, 20)).ask(20)
    sample = costs(known.space, known.space.sample(300, np.random.default_rng(7)))
    assert (np.median(costs(known.space, asked), axis=0) > np.quantile(sample, 0.85, axis=0)).all()


def test_with_latency_it_asks_for_the_best_trades(known: Any) -> None:
    def share_dominated(X: np.ndarray) -> float:
        """By random rows, in size and latency."""
        others = known.space.sample(100, np.random.default_rng(9))
        both = np.concatenate((X, others))
        size = np.log(costs(known.space, both)).sum(axis=1)
        return float(1 - pareto.non_dominated(np.column_stack((-size, known.latency(both))))[: len(X)].mean())

    problem = problem_of(known, evaluations=20, population=20)
    asked = get_searcher("zero-cost")(problem).ask(20)
    assert share_dominated(asked) < 0.7 < 0.9 < share_dominated(get_searcher("random")(problem).ask(20))
    latency = known.latency(asked)
    assert latency.max() > 2 * latency.min()  # all along the front


def test_a_space_that_does_not_say_its_operators_is_refused() -> None:
    space = SearchSpace("table", {}, [Choice("a", (0, 1)), Choice("b", (0, 1))], ())
    with pytest.raises(JobError, match="the space 'table' has none; legal: a space of operators"):
        get_searcher("zero-cost")(Problem(space, 4, 2))
