"""What every registered searcher must do, on a real space with a known optimum."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nas.errors import JobError
from nas.search import Searcher, get_searcher, register, run_search, searcher_names
from nas.search.driver import SearchResult
from search_spaces.space import SearchSpace, row_keys
from search_spaces.spaces import make_space

from .conftest import problem_of

REFERENCE = (0.0, 3.0)  # (quality, latency_ms)


def search(known: Any, name: str, evaluate: Any = None, **changes: Any) -> SearchResult:
    arguments = {"evaluations": 16, "population": 8, "seed": 0} | changes
    return run_search(known.space, name, evaluate or known.accuracy, known.latency, **arguments)


@pytest.fixture(scope="module")
def undisturbed(known: Any) -> Callable[[str], SearchResult]:
    """The search by that name, made once."""
    return cache(lambda name: search(known, name))


def same(a: SearchResult, b: SearchResult) -> bool:
    return all(np.array_equal(getattr(a, f), getattr(b, f)) for f in ("X", "quality", "latency_ms", "generation"))


@pytest.mark.parametrize("name", searcher_names())
class TestEverySearcher:
    """The conformance suite: it enumerates the registry."""

    def test_asks_only_for_new_canonical_feasible_rows(self, known: Any, name: str) -> None:
        limit = 1.0
        result = search(known, name, max_latency_ms=limit)
        assert len(result.X) == 16
        assert len(set(row_keys(result.X))) == 16
        assert np.array_equal(known.space.canonicalise(result.X), result.X)
        assert (result.latency_ms <= limit).all()
        assert np.array_equal(result.latency_ms, known.latency(result.X))
        assert np.array_equal(result.quality, known.accuracy(result.X))
        assert result.generation.tolist() == [0] * 8 + [1] * 8

    def test_same_seed_same_search_told_in_steps_and_other_seed_another(
        self, known: Any, undisturbed: Callable[[str], SearchResult], name: str
    ) -> None:
        first, calls = undisturbed(name), []
        assert same(first, search(known, name, progress=lambda done, total: calls.append((done, total))))
        assert calls == [(8, 16), (16, 16)]
        assert not np.array_equal(first.X, search(known, name, seed=5).X)

    def test_killed_and_replayed_from_the_cache_it_ends_in_the_same_result(
        self, known: Any, undisturbed: Callable[[str], SearchResult], name: str
    ) -> None:
        cache: dict[bytes, float] = {}
        computed = 0

        def evaluate(X: np.ndarray, calls_left: list[int]) -> np.ndarray:
            nonlocal computed
            for key, row in zip(row_keys(X), X, strict=True):
                if key not in cache:
                    if calls_left[0] == 0:
                        raise KeyboardInterrupt
                    calls_left[0] -= 1
                    computed += 1
                    cache[key] = float(known.accuracy(row[None])[0])
            return np.array([cache[key] for key in row_keys(X)])

        left = [11]  # dies in the middle of the second batch
        with pytest.raises(KeyboardInterrupt):
            search(known, name, lambda X: evaluate(X, left))
        endless = [-1]
        resumed = search(known, name, lambda X: evaluate(X, endless))
        assert computed == 16
        assert same(resumed, undisturbed(name))

    def test_ends_early_when_the_space_is_exhausted(self, known: Any, few: SearchSpace, name: str) -> None:
        result = run_search(few, name, known.accuracy, known.latency, evaluations=200, population=5)
        assert len(result.X) == few.size() == 8

    def test_never_loops_on_a_limit_that_nothing_meets(self, known: Any, name: str) -> None:
        with pytest.raises(
            JobError, match=r"max_latency_ms: the smallest architecture found takes 0\.\d+ ms, you asked 0.1 ms"
        ):
            search(known, name, max_latency_ms=0.1)

    def test_reaches_a_limit_that_random_rows_hardly_ever_meet(self, known: Any, name: str) -> None:
        limit = 0.5
        random_rows = known.space.sample(20_000, np.random.default_rng(0))
        assert (known.latency(random_rows) <= limit).mean() < 1e-3
        result = search(known, name, max_latency_ms=limit)
        assert len(result.X) == 16
        assert (result.latency_ms <= limit).all()


@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 2**32), population=st.integers(1, 30), limit=st.one_of(st.none(), st.floats(0.6, 5.0)))
def test_cheap_searchers_keep_their_promises_for_any_settings(
    known: Any, seed: int, population: int, limit: float | None
) -> None:
    for name in ("random", "nsga2", "nsga3", "regularised-evolution", "local-search"):
        result = search(known, name, seed=seed, population=population, evaluations=40, max_latency_ms=limit)
        assert len(set(row_keys(result.X))) == len(result.X) == 40
        assert np.array_equal(known.space.canonicalise(result.X), result.X)
        assert limit is None or (result.latency_ms <= limit).all()


def test_nsga2_beats_random_and_the_predictor_beats_both(known: Any) -> None:
    def volumes(name: str, evaluations: int, seeds: int) -> np.ndarray:
        found = [search(known, name, evaluations=evaluations, population=20, seed=s) for s in range(seeds)]
        return np.array([one.hypervolume(REFERENCE) for one in found])

    assert volumes("nsga2", 300, 3).mean() > 1.2 * volumes("random", 300, 3).mean()
    best = np.maximum(volumes("nsga2", 60, 2), volumes("random", 60, 2)).mean()
    assert (volumes("predictor-nsga2", 60, 2) > 1.2 * best).all()


def test_guided_search_comes_near_the_known_optimum_of_a_restricted_space(known: Any) -> None:
    space = known.space.restrict(
        {"stage*.depth": [1], "resolution": [8], "stage*.layer*.mixer": ["mbconv", "mhsa", "identity"]}
    )
    everything = space.sample(40_000, np.random.default_rng(0))
    truth = SearchResult(
        space,
        everything,
        known.accuracy(everything),
        known.latency(everything),
        np.zeros(len(everything), int),
        "all",
        0,
    ).hypervolume(REFERENCE)
    found = run_search(space, "predictor-nsga2", known.accuracy, known.latency, evaluations=100, population=20)
    assert found.hypervolume(REFERENCE) > 0.95 * truth


def test_result_front_and_curve_agree_with_its_hypervolume(known: Any) -> None:
    result = search(known, "nsga2")
    front = result.front()
    assert (np.diff(result.latency_ms[front]) >= 0).all()
    assert (np.diff(result.quality[front]) >= 0).all()
    assert result.knee() in front
    curve = result.hypervolume_curve(REFERENCE)
    assert (np.diff(curve) >= 0).all()
    assert curve[-1] == pytest.approx(result.hypervolume(REFERENCE))
    area, worst = 0.0, REFERENCE[0]  # by rectangles, from the fastest on
    for i, accuracy in zip(front, result.quality[front], strict=True):
        area += max(accuracy - worst, 0.0) * max(REFERENCE[1] - result.latency_ms[i], 0.0)
        worst = max(worst, accuracy)
    assert area == pytest.approx(result.hypervolume(REFERENCE))


def test_rows_told_from_outside_are_not_asked_again(known: Any) -> None:
    X = known.space.sample(30, np.random.default_rng(1))
    searcher = get_searcher("nsga2")(problem_of(known, evaluations=60))
    searcher.tell(X, np.column_stack((-known.accuracy(X), known.latency(X))))
    assert not set(row_keys(searcher.ask(10))) & set(row_keys(X))


def test_a_taken_name_is_refused() -> None:
    class Impostor(Searcher):
        name = "nsga2"

        def propose(self, n: int) -> np.ndarray:
            return self.space.sample(n, self.rng)

    with pytest.raises(JobError, match=r"'nsga2' is already registered by nas\.search\.nsga2"):
        register(Impostor)
    assert get_searcher("nsga2") is not Impostor


def test_wrong_arguments_are_named(known: Any) -> None:
    legal = ", ".join(searcher_names())
    with pytest.raises(JobError, match=re.escape(f"unknown name 'annealing', legal: {legal}")):
        search(known, "annealing")
    with pytest.raises(JobError, match="evaluations: must be at least 1, got 0"):
        search(known, "random", evaluations=0)
    with pytest.raises(JobError, match="max_latency_ms: must be a positive"):
        search(known, "random", max_latency_ms=-2.0)
    with pytest.raises(JobError, match="evaluate: expected finite numbers, 8 rows of 1"):
        search(known, "random", lambda X: np.full(len(X), np.nan))
    with pytest.raises(JobError, match="latency_ms: expected 12 finite"):
        run_search(known.space, "random", known.accuracy, lambda X: np.zeros(3), evaluations=12, population=12)
    with pytest.raises(JobError, match="reference"):
        search(known, "random").hypervolume((1.0,))


def test_generations_of_every_preset_fit() -> None:
    space = make_space({"name": "hybrid-vision", "preset": "mobile"})
    latency = space.additive(lambda spec: float(np.prod(spec.shape))).score
    result = run_search(space, "nsga2", lambda X: X.mean(axis=1) / 10, latency, evaluations=50, population=25)
    assert len(result.X) == 50
