"""Feasible sampling, repair and the explanation of what is infeasible."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas.errors import JobError
from nas.search import check_feasible
from nas.search.candidates import admit, fresh, repair, spread
from search_spaces.space import SearchSpace, row_keys

from .conftest import Known, problem_of


def every_row(space: SearchSpace) -> np.ndarray:
    """All canonical rows of a small space, by brute force over its legal values."""
    return np.unique(space.canonicalise(np.array(list(itertools.product(*space.legal)))), axis=0)


def test_the_smallest_architecture_is_the_true_one(known: Any, few: SearchSpace) -> None:
    true = known.latency(every_row(few)).min()
    row, ms = check_feasible(few, known.latency, true, np.random.default_rng(0))
    assert ms == known.latency(row[None])[0] == true
    with pytest.raises(
        JobError, match=f"devices.phone: the smallest architecture found takes {true:.3g} ms, you asked 0.01 ms"
    ):
        check_feasible(few, known.latency, 0.01, np.random.default_rng(0), key="devices.phone")


def test_the_smallest_of_a_large_space_beats_every_random_row(known: Any) -> None:
    sampled = known.latency(known.space.sample(50_000, np.random.default_rng(1))).min()
    with pytest.raises(JobError, match="smallest architecture found takes") as caught:
        check_feasible(known.space, known.latency, 0.01, np.random.default_rng(0))
    assert float(str(caught.value).split("takes ")[1].split()[0]) < sampled


def test_two_numbers_that_differ_little_are_told_apart(known: Any, few: SearchSpace) -> None:
    true = known.latency(every_row(few)).min()
    with pytest.raises(JobError) as caught:
        check_feasible(few, known.latency, true * (1 - 1e-7), np.random.default_rng(0))
    words = str(caught.value).replace(",", "").split()
    assert float(words[words.index("takes") + 1]) > float(words[words.index("asked") + 1])


def test_fresh_rows_empty_a_small_space_exactly(known: Any, few: SearchSpace) -> None:
    problem = problem_of(Known(few, known.accuracy, known.latency))
    rng = np.random.default_rng(2)
    rows = fresh(problem, 100, set(), rng)
    assert sorted(row_keys(rows)) == sorted(row_keys(every_row(few)))
    assert len(fresh(problem, 100, set(row_keys(rows)), rng)) == 0


def test_repair_makes_slow_rows_feasible_and_keeps_feasible_ones(known: Any) -> None:
    problem = problem_of(known, 1.0)
    rows = known.space.sample(50, np.random.default_rng(3))
    good = known.latency(rows) <= 1.0
    repaired = repair(problem, rows, np.random.default_rng(4))
    assert len(repaired) > 25 > good.sum()
    assert (known.latency(repaired) <= 1.0).all()
    assert set(row_keys(rows[good])) <= set(row_keys(repaired))


def test_admit_keeps_order_and_drops_repeats_seen_and_slow(known: Any) -> None:
    rows = known.space.sample(40, np.random.default_rng(5))
    limit = float(np.median(known.latency(rows)))
    problem = problem_of(known, limit)
    seen = set(row_keys(rows[:5]))
    twice = np.concatenate((rows, rows[::-1]))
    expected = [row for row, ms in zip(rows[5:], known.latency(rows[5:]), strict=True) if ms <= limit]
    assert np.array_equal(admit(problem, twice, seen), expected)
    assert np.array_equal(admit(problem, twice, seen, 3), expected[:3])


@given(st.lists(st.floats(0, 1e3), min_size=1, max_size=60), st.integers(1, 20))
def test_spread_gives_different_rows_with_both_ends(values: list[float], n: int) -> None:
    array = np.array(values)
    chosen = spread(array, n)
    assert len(set(chosen.tolist())) == min(n, len(array))
    assert (np.diff(array[chosen]) >= 0).all()
    assert array[chosen[0]] == array.min()
    if n > 1:
        assert array[chosen[-1]] == array.max()
