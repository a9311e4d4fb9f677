"""Exact assembly against brute force on small random spaces, and the searcher that is made of it."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nas.errors import InfeasibleError, JobError
from nas.search import Problem, drive, get_searcher, run_search
from nas.search.assembly import assemble
from nas.search.cover import balanced
from nas.search.places import Places
from nas.search.programme import Programme
from search_spaces.space import Choice, SearchSpace, Slot
from search_spaces.spec import OperatorSpec

SMALL = 4000  # architectures that are walked whole


def random_space(rng: np.random.Generator) -> SearchSpace:
    """Genes with and without parents, operators of up to three genes at some of their values, some values illegal."""
    choices: list[Choice] = []
    for g in range(int(rng.integers(2, 8))):
        values = tuple(range(int(rng.integers(1, 4))))
        when = None
        if choices and rng.random() < 0.5:
            parent = choices[rng.integers(len(choices))]
            some = rng.permutation(len(parent.values))[: rng.integers(1, len(parent.values) + 1)]
            when = (parent.name, tuple(int(v) for v in some))
        choices.append(Choice(f"g{g}", values, when))
    slots = []
    for s in range(int(rng.integers(1, 6))):
        genes = rng.permutation(len(choices))[: rng.integers(0, min(4, len(choices) + 1))]
        # an operator may read a gene that is inactive (as 0) where it is active itself
        gate = choices[rng.integers(len(choices))]
        when = (gate.name, tuple(gate.values[: rng.integers(1, len(gate.values) + 1)])) if rng.random() < 0.5 else None
        slots.append(Slot(f"s{s}", tuple(choices[g].name for g in genes), spec_of(s), when))
    space = SearchSpace("random", {}, choices, slots)
    fewer = {
        choice.name: [v for v in choice.values if v == choice.values[-1] or rng.random() < 0.8] for choice in choices
    }
    return space.restrict(fewer)


def spec_of(s: int) -> Callable[..., OperatorSpec]:
    return lambda *values: OperatorSpec.of(f"op{s}", (1, *(int(v) + 1 for v in values)))


def additive(space: SearchSpace, rng: np.random.Generator, low: float = -1.0) -> Callable[[np.ndarray], np.ndarray]:
    return space.additive(lambda spec: float(rng.uniform(low, 1.0))).score


def every_row(space: SearchSpace) -> np.ndarray:
    rows = np.array(list(itertools.product(*space.legal)), np.int16)
    return np.unique(space.canonicalise(rows), axis=0)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), limits=st.integers(0, 2), share=st.floats(-0.05, 1.0))
@example(seed=373067, limits=1, share=-9.98e-08)  # a limit just below what many rows have
def test_it_equals_brute_force(seed: int, limits: int, share: float) -> None:
    rng = np.random.default_rng(seed)
    space = random_space(rng)
    rows = every_row(space)
    assert len(rows) == space.size() <= SMALL
    score = additive(space, rng)
    held = []
    for _ in range(limits):
        function = additive(space, rng, 0.0)
        low, high = function(rows).min(), function(rows).max()
        held.append((function, float(low + share * (high - low) + 1e-6 * share)))
    good = np.all([function(rows) <= bound for function, bound in held], axis=0) if held else np.ones(len(rows), bool)
    if good.any():
        row = assemble(space, score, held)
        assert (rows == row).all(axis=1).any()
        assert all(function(row[None])[0] <= bound + 1e-12 for function, bound in held)
        assert score(row[None])[0] == pytest.approx(score(rows[good]).min(), abs=1e-6)
    else:
        with pytest.raises(InfeasibleError, match="limits: no architecture meets all") as caught:
            assemble(space, score, held)
        for i, (function, _) in enumerate(held):
            assert caught.value.nearest[f"limits[{i}]"] == pytest.approx(function(rows).min(), abs=1e-6)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_rows_that_are_ruled_out_leave_the_next_best(seed: int) -> None:
    rng = np.random.default_rng(seed)
    space = random_space(rng)
    rows = every_row(space)
    # no two rows alike, or there is no next best
    weights = [(g, int(v)) for g, values in enumerate(space.legal) for v in values]
    places = Places(space)
    tables = places.gene_tables(weights, rng.normal(size=len(weights)))
    order = np.argsort(places.sums(tables, places.where(rows)), kind="stable")
    programme = Programme(places)
    for k in range(min(4, len(rows))):
        found, proved = programme.solve(tables, [], places.where(rows[order[:k]]))
        assert proved
        assert found is not None
        value = places.sums(tables, places.where(found[None]))[0]
        assert value == pytest.approx(places.sums(tables, places.where(rows[order[[k]]]))[0], abs=1e-6)
    assert programme.solve(tables, [], places.where(rows)) == (None, True)


def test_a_limit_that_the_best_row_just_meets_and_a_solver_that_prints_nothing(
    capfd: pytest.CaptureFixture[str],
) -> None:
    for seed in range(25):
        rng = np.random.default_rng(seed)
        space = random_space(rng)
        score, slow, rows = additive(space, rng), additive(space, rng, 0.0), every_row(space)
        values = slow(rows)
        bound = float(values[rng.integers(len(rows))])
        row = assemble(space, score, [(slow, bound)])
        assert slow(row[None])[0] <= bound * (1 + 1e-12)
        assert score(row[None])[0] == pytest.approx(score(rows[values <= bound]).min(), abs=1e-9)
    assert capfd.readouterr() == ("", "")


def test_places_hold_what_is_additive_on_a_real_space(known: Any) -> None:
    places = Places(known.space)
    assert places.error(places.tables(known.latency), known.latency) < 1e-9
    assert places.error(places.tables(known.accuracy), known.accuracy) > 1e-3  # a logistic function of a sum


def test_the_best_of_a_real_space_under_a_limit_has_no_better_neighbour(known: Any) -> None:
    score = known.space.additive(lambda spec: -np.log1p(float(np.prod(spec.shape)))).score
    row = assemble(known.space, score, [(known.latency, 1.0)])
    assert known.latency(row[None])[0] <= 1.0
    near = known.space.neighbours(row)
    near = near[known.latency(near) <= 1.0]
    rows = known.space.sample(20_000, np.random.default_rng(0))
    rows = rows[known.latency(rows) <= 1.0]
    assert score(row[None])[0] <= min(score(near).min(), score(rows).min()) + 1e-9


def test_wrong_arguments_are_named(few: SearchSpace, known: Any) -> None:
    said = "limits[0]: must be additive over the operators of 'hybrid-vision/tiny'"
    with pytest.raises(JobError, match=re.escape(said)):
        assemble(small(known), known.latency, [(known.accuracy, 1.0)])
    with pytest.raises(InfeasibleError, match=r"limits\[0\] is at least 0\.\d+ \(you asked 0.001\)"):
        assemble(few, known.latency, [(known.latency, 0.001)])
    wide = [Choice(f"g{i}", tuple(range(10))) for i in range(9)]
    tangled = SearchSpace("tangled", {}, wide, [Slot("s", tuple(c.name for c in wide), spec_of(0))])
    with pytest.raises(
        JobError, match="space: the places of 'tangled' hold 1000000000 tuples of genes; legal: at most"
    ):
        get_searcher("assembly")(Problem(tangled, 10, 5))


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32), n=st.integers(1, 40))
def test_a_balanced_design_has_every_value_equally_often(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    space = random_space(rng)
    rows = balanced(space, n, rng)
    active = space.active(rows)
    assert np.array_equal(space.canonicalise(rows), rows)
    for g, legal in enumerate(space.legal):
        counts = [int((rows[active[:, g], g] == value).sum()) for value in legal]
        assert max(counts) - min(counts) <= 1
        assert sum(counts) == active[:, g].sum()


def small(known: Any) -> SearchSpace:
    return known.space.restrict(
        {"stage*.depth": [1], "resolution": [8], "stage*.layer*.mixer": ["mbconv", "mhsa", "identity"]}
    )


def test_it_beats_random_search_at_equal_cost(known: Any) -> None:
    found = [
        run_search(
            small(known), name, known.accuracy, known.latency, evaluations=40, population=10, seed=1
        ).hypervolume((0.0, 3.0))
        for name in ("assembly", "random")
    ]
    assert found[0] > 1.15 * found[1]


def test_with_one_objective_it_ends_at_the_optimum_of_what_is_additive() -> None:
    space = SearchSpace("plain", {}, [Choice(f"gene{i}", tuple(range(5))) for i in range(6)], ())
    weights = np.random.default_rng(0).normal(size=(6, 5))
    score = lambda X: weights[np.arange(6), X].sum(axis=1)  # noqa: E731
    told = drive(Problem(space, 40, 10, batch=5), "assembly", score).F[:, 0]
    assert told.min() == pytest.approx(weights.min(axis=1).sum())
    once = drive(
        Problem(space, 40, 10, ("a", "b"), batch=5), "assembly", lambda X: np.column_stack((score(X), -score(X)))
    )
    assert once.F[:, 0].min() == pytest.approx(weights.min(axis=1).sum(), abs=0.5)


def test_a_limit_on_what_is_not_additive_is_kept(known: Any) -> None:
    """Its logarithm is (a device that is slower by a power), or nothing is (a device that overlaps its operators)."""
    space = small(known)
    rows = space.sample(500, np.random.default_rng(0))
    for slow in (lambda X: np.exp(known.latency(X)), lambda X: known.latency(X) ** 1.5 + 0.05 * X.max(axis=1)):
        limit = float(np.quantile(slow(rows), 0.2))
        problem = Problem(space, 26, 8, known={"latency_ms": slow}, limits={"latency_ms": limit})
        search = drive(problem, "assembly", lambda X: -known.accuracy(X))
        assert len(search.X) == 26
        assert (search.F[:, 1] <= limit).all()
