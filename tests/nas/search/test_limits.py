"""Several known objectives with limits: met by every row that is asked for, or explained at once."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nas.errors import JobError
from nas.search import Problem, drive, searcher_names
from nas.search.candidates import check_limits

CHEAP = [name for name in searcher_names() if not name.startswith("predictor")]


def problem(known: Any, limits: dict[str, float], **changes: Any) -> Problem:
    macs = known.space.additive(lambda spec: float(np.prod(spec.shape))).score
    both = {"latency_ms": known.latency, "activations": macs}
    arguments = {"evaluations": 24, "population": 8} | changes
    return Problem(known.space, known=both, limits=limits, **arguments)


@pytest.mark.parametrize("name", CHEAP)
def test_two_limits_hold_for_every_row(known: Any, name: str) -> None:
    rows = known.space.sample(2000, np.random.default_rng(0))
    open_problem = problem(known, {})
    limits = dict(zip(open_problem.known, np.quantile(open_problem.known_values(rows), 0.2, axis=0), strict=True))
    search = drive(problem(known, limits), name, lambda X: -known.accuracy(X))
    assert search.F.shape == (24, 3)
    assert (search.F[:, 1:] <= list(limits.values())).all()
    assert np.array_equal(search.F[:, 1:], open_problem.known_values(search.X))


def test_what_cannot_be_met_is_said_with_the_nearest_value(known: Any) -> None:
    with pytest.raises(
        JobError, match=r"max_latency_ms: the smallest architecture found takes 0\.\d+ ms, you asked 0.01"
    ):
        drive(problem(known, {"latency_ms": 0.01}), "random", known.accuracy)
    with pytest.raises(JobError, match=r"max_activations: the smallest found is \d+, you asked 1"):
        drive(problem(known, {"activations": 1.0}), "random", known.accuracy)
    with pytest.raises(JobError, match="limits: got 'energy'; legal: the known objectives latency_ms, activations"):
        problem(known, {"energy": 1.0})


def test_limits_that_contradict_each_other_are_told_from_each_that_cannot_be_met(known: Any) -> None:
    rows = known.space.sample(2000, np.random.default_rng(0))
    opposed = {"latency_ms": known.latency, "idleness": lambda X: 10.0 / known.latency(X)}
    fast = float(np.quantile(known.latency(rows), 0.3))
    limits = {"latency_ms": fast, "idleness": 10.0 / float(np.quantile(known.latency(rows), 0.7))}
    with pytest.raises(JobError, match="limits: each can be met alone, but no architecture found meets all") as caught:
        check_limits(Problem(known.space, 10, 5, known=opposed, limits=limits))
    assert "you asked" in str(caught.value)
    row = check_limits(
        Problem(known.space, 10, 5, known=opposed, limits={"latency_ms": fast, "idleness": 10 / fast * 2})
    )
    assert known.latency(row[None])[0] <= fast


def test_a_limit_that_only_the_smallest_meets_is_met_exactly(known: Any, few: Any) -> None:
    every = few.sample(500, np.random.default_rng(0))
    least = float(known.latency(every).min())
    found = drive(
        Problem(few, 8, 4, known={"latency_ms": known.latency}, limits={"latency_ms": least}), "nsga2", known.accuracy
    )
    assert len(found.X) >= 1
    assert (found.F[:, 1] == least).all()
