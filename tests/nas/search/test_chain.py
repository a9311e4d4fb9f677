"""Chains: stages with their shares of the budget, each of which knows what the ones before found."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nas.errors import JobError
from nas.search import drive, get_searcher, run_search, searcher_names
from nas.search.driver import SearchResult
from search_spaces.space import SearchSpace, row_keys

from .conftest import Known, problem_of
from .test_halving import Exam

CHAINS = ("random+nsga2+local-search", "zero-cost:1/4+nsga2:3/4", "local-search:0.5+random:0.3+nsga3:0.2")


def search(known: Any, name: str, evaluate: Any = None, **changes: Any) -> SearchResult:
    arguments = {"evaluations": 24, "population": 6, "seed": 0} | changes
    return run_search(known.space, name, evaluate or known.accuracy, known.latency, **arguments)


@pytest.mark.parametrize("name", CHAINS)
def test_a_chain_is_a_searcher_like_all(known: Any, name: str) -> None:
    result = search(known, name, max_latency_ms=1.0)
    assert len(set(row_keys(result.X))) == len(result.X) == 24
    assert np.array_equal(known.space.canonicalise(result.X), result.X)
    assert (result.latency_ms <= 1.0).all()
    assert not np.array_equal(result.X, search(known, name, max_latency_ms=1.0, seed=1).X)


@pytest.mark.parametrize("name", CHAINS)
def test_killed_and_replayed_from_the_cache_it_ends_in_the_same_result(known: Any, name: str) -> None:
    cache: dict[bytes, float] = {}
    left = 15

    def evaluate(X: np.ndarray) -> np.ndarray:
        nonlocal left
        for key, row in zip(row_keys(X), X, strict=True):
            if key not in cache:
                if left == 0:
                    raise KeyboardInterrupt
                left -= 1
                cache[key] = float(known.accuracy(row[None])[0])
        return np.array([cache[key] for key in row_keys(X)])

    with pytest.raises(KeyboardInterrupt):
        search(known, name, evaluate)
    left = -1
    resumed, undisturbed = search(known, name, evaluate), search(known, name)
    assert len(cache) == 24
    for field in ("X", "quality", "latency_ms", "generation", "cost"):
        assert np.array_equal(getattr(resumed, field), getattr(undisturbed, field))


@settings(max_examples=10, deadline=None)
@given(
    names=st.lists(st.sampled_from(["random", "nsga2", "local-search", "regularised-evolution"]), min_size=2, max_size=4),
    evaluations=st.integers(4, 40),
    seed=st.integers(0, 2**32 - 1),
)  # fmt: skip
def test_the_first_stage_is_its_searcher_alone_and_all_are_told_everything(
    known: Any, names: list[str], evaluations: int, seed: int
) -> None:
    problem = problem_of(known, evaluations=evaluations, seed=seed)
    chain: Any = drive(problem, "+".join(names), lambda X: -known.accuracy(X))
    first = round(evaluations / len(names))
    alone = drive(problem_of(known, evaluations=first, seed=seed), names[0], lambda X: -known.accuracy(X))
    assert np.array_equal(chain.X[:first], alone.X)
    assert len(chain.X) == evaluations
    for stage in chain._stages:
        assert np.array_equal(stage.X, chain.X)
        assert np.array_equal(stage.F, chain.F)


def test_the_last_stage_works_on_what_the_first_found(known: Any) -> None:
    result = search(known, "random:0.75+local-search:0.25")
    near = {key for row in result.X for key in row_keys(known.space.neighbours(row))}
    assert all(key in near for key in row_keys(result.X[18:]))
    assert not all(key in near for key in row_keys(result.X[:18]))


def test_start_rows_come_first_and_small_spaces_end_a_chain(known: Any, few: SearchSpace) -> None:
    start = known.space.sample(4, np.random.default_rng(3))
    assert np.array_equal(search(known, CHAINS[0], start=start).X[:4], start)
    result = run_search(few, CHAINS[0], known.accuracy, known.latency, evaluations=200, population=5)
    assert len(result.X) == few.size()


@pytest.mark.parametrize("name", ["halving:0.6+local-search:0.4", "random+halving", "halving+halving"])
def test_a_stage_may_ask_for_shares(known: Any, name: str) -> None:
    exam = Exam(known.accuracy)
    result = search(known, name, exam, evaluations=30)
    assert len(set(exam.asked)) == len(exam.asked)
    assert 29 < sum(share for _, share in exam.asked) <= 30
    assert row_keys(result.X) == [key for key, share in exam.asked if share == 1]
    assert result.cost[-1] == pytest.approx(float(sum(share for _, share in exam.asked)))
    with pytest.raises(JobError, match="'halving' evaluates on shares"):
        search(known, name)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("random+annealing", "unknown name 'annealing', legal: " + ", ".join(searcher_names())),
        ("random+", "unknown name '', legal"),
        ("random:0.5+nsga2:0.6", "got the shares 0.5, 0.6 in"),
        ("random:0.5+nsga2", "got the shares 0.5 in"),
        ("random:1.5+nsga2:-0.5", "got the shares 1.5, -0.5 in"),
        ("random:half+nsga2:0.5", "got the shares half, 0.5 in"),
        ("random:1/0+nsga2:1", "legal: searchers joined by +, each with its share"),
        ("random:0.01+nsga2:0.99", "its stage 'random' gets no evaluation of 24; legal: at least one each"),
    ],
)
def test_wrong_chains_are_named(known: Any, name: str, said: str) -> None:
    with pytest.raises(JobError) as caught:
        search(known, name, lambda X: np.full(len(X), np.nan))  # would be refused, too, if it were asked
    assert said in str(caught.value)


def test_what_others_are_evaluating_is_not_asked_for(known: Any, few: SearchSpace) -> None:
    every = few.sample(500, np.random.default_rng(0))
    chain = get_searcher("random+nsga2")(problem_of(Known(few, known.accuracy, known.latency), evaluations=20))
    chain.seen.update(set(row_keys(every)) - set(row_keys(every[:1])))
    assert row_keys(chain.ask(5)) == row_keys(every[:1])
    assert len(chain.ask(5)) == 0


def test_two_stages_of_one_kind_do_not_draw_the_same(known: Any) -> None:
    problem = problem_of(known, evaluations=40)
    chain: Any = get_searcher("random+random")(problem)
    assert not np.array_equal(chain._stages[0].rng.random(5), chain._stages[1].rng.random(5))
