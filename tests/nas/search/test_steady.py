"""Searches that ask for the next batch before the last one is known: the same result, whatever order rows are scored in."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nas.errors import JobError
from nas.job_file import parse_job
from nas.search import Problem, drive, run_search, searcher_names
from nas.search.driver import SearchResult
from nas.search.evaluation import Task
from nas.search.problem import Rows
from nas.search.stream import Stream
from nas.search.workers import Workers
from search_spaces import Architecture
from search_spaces.space import SearchSpace, row_keys
from tests.conftest import SMALL_JOB

from .conftest import problem_of
from .test_differentiable import Slopes, cells

SAME = ("X", "quality", "latency_ms", "generation", "cost")
LATE = [name for name in searcher_names() if name != "zero-cost"]  # which learns nothing
LATE += ["random+nsga2", "local-search:1/2+differentiable:1/2"]


def search(known: Any, name: str, evaluate: Any = None, **changes: Any) -> SearchResult:
    arguments = {"evaluations": 24, "population": 6, "window": 5} | changes
    return run_search(known.space, name, evaluate or known.accuracy, known.latency, **arguments)


def same(a: SearchResult, b: SearchResult) -> bool:
    """Whether two searches did the same, row for row."""
    return all(np.array_equal(getattr(a, name), getattr(b, name)) for name in SAME)


class AnyOrder(Workers):
    """``count`` workers that end in an order of chance."""

    def __init__(self, score: Callable[[Task], float], count: int, seed: int) -> None:
        self._score, self._count, self._chance = score, count, random.Random(seed)
        self.done: list[Task] = []

    def scores(self, tasks: Iterable[Task]) -> Iterator[tuple[Task, float]]:
        source, running = iter(tasks), []
        while True:
            while len(running) < self._count and (task := next(source, None)) is not None:
                running.append(task)
            if not running:
                return
            self.done.append(running.pop(self._chance.randrange(len(running))))
            yield self.done[-1], self._score(self.done[-1])


class Ahead:
    """An ``evaluate`` by a stream, that counts what is out."""

    def __init__(self, known: Any, count: int, seed: int) -> None:
        self._known = known
        self.workers = AnyOrder(self._score, count, seed)
        self.kept: dict[str, float] = {}
        self.out: list[int] = []  # rows out, whenever some are waited for
        self._stream, self._out = Stream(self.workers, None, self._keep), 0

    def _score(self, task: Task) -> float:
        return float(self._known.accuracy(np.array([task.genes], np.int16))[0])

    def _keep(self, architecture: Architecture, value: float) -> None:
        self.kept[architecture.hash] = value

    def submit(self, X: Rows) -> None:
        self._out += len(X)
        self._stream.submit([self._known.space.architecture(row) for row in X])

    def __call__(self, X: Rows) -> np.ndarray:
        self.out.append(self._out)
        hashes = [self._known.space.architecture(row).hash for row in X]
        self._stream.wait(hashes)
        self._out -= len(X)
        return np.array([self.kept[name] for name in hashes])


@settings(max_examples=8, deadline=None)
@given(
    name=st.sampled_from(["random", "nsga2", "regularised-evolution", "local-search", "random+nsga2"]),
    window=st.integers(1, 30),
    population=st.integers(1, 9),
    count=st.integers(1, 12),
    seed=st.integers(0, 2**32 - 1),
)
def test_the_result_does_not_depend_on_who_is_done_first(
    known: Any, name: str, window: int, population: int, count: int, seed: int
) -> None:
    evaluate = Ahead(known, count, seed)
    arguments = {"window": window, "population": population, "seed": seed}
    result = search(known, name, evaluate, **arguments)
    assert same(result, search(known, name, **arguments))
    assert len(result.X) == len(set(row_keys(result.X))) == 24
    assert list(evaluate.kept) == [known.space.architecture(row).hash for row in result.X]
    assert len(evaluate.workers.done) == 24  # nobody did one twice
    assert max(evaluate.out) < window + population
    told = np.cumsum(np.bincount(result.generation)) - np.bincount(result.generation)  # before each wait
    assert all(out >= min(window, 24 - before) for out, before in zip(evaluate.out, told, strict=True))


@pytest.mark.parametrize("name", LATE)
def test_every_searcher_may_be_told_late(known: Any, name: str) -> None:
    result = search(known, name, max_latency_ms=1.0, evaluations=12)
    assert len(result.X) == len(set(row_keys(result.X))) == 12
    assert np.array_equal(known.space.canonicalise(result.X), result.X)
    assert (result.latency_ms <= 1.0).all()
    assert np.array_equal(result.quality, known.accuracy(result.X))
    assert np.bincount(result.generation).tolist() == [2, 6, 4]  # asked for when 0 and 2 were told
    assert result.cost.tolist() == list(range(1, 13))


@pytest.mark.parametrize("name", ["random", "nsga2", "local-search", "random+nsga2"])
@pytest.mark.parametrize("window", [3, 7, 50])
def test_a_small_space_is_searched_wholly(known: Any, few: SearchSpace, name: str, window: int) -> None:
    result = run_search(few, name, known.accuracy, known.latency, evaluations=200, population=5, window=window)
    assert len(result.X) == few.size()


def test_batches_are_the_window_of_one_and_late_news_changes_what_is_asked(known: Any) -> None:
    asked: list[int] = []
    batches = drive(problem_of(known, evaluations=24, population=6), "nsga2", lambda X: -known.accuracy(X))
    early = drive(
        problem_of(known, evaluations=24, population=6, window=5),
        "nsga2",
        lambda X: -known.accuracy(X),
        submit=lambda X: asked.append(len(X)),
    )
    assert asked == [6, 6, 6, 6]
    assert batches.told.tolist() == [0] * 6 + [1] * 6 + [2] * 6 + [3] * 6
    assert np.array_equal(early.X[:6], batches.X[:6])
    assert not np.array_equal(early.X[6:12], batches.X[6:12])
    assert not early.out


def test_a_stage_of_a_chain_asks_for_its_part_alone(known: Any) -> None:
    def found(name: str, evaluations: int) -> np.ndarray:
        problem = problem_of(known, evaluations=evaluations, population=5, window=8)
        return drive(problem, name, lambda X: -known.accuracy(X)).X

    assert np.array_equal(found("nsga2+random", 30)[:15], found("nsga2", 15))


@settings(max_examples=5, deadline=None)
@given(window=st.integers(1, 40), evaluations=st.integers(10, 40), name=st.sampled_from(["", "random+"]))
def test_gradients_spend_nothing_that_rows_out_will_cost(window: int, evaluations: int, name: str) -> None:
    space, loss = cells()
    slopes = Slopes(space, loss)
    problem = Problem(space, evaluations, 5, ("loss",), gradient=slopes, window=window)
    found = drive(problem, f"{name}differentiable", loss)
    assert evaluations - 1 < found.spent <= evaluations
    assert len(set(row_keys(found.X))) == len(found.X)


def test_rows_asked_for_on_a_share_are_not_submitted(known: Any) -> None:
    class Counting:
        submitted: list[bytes] = []
        whole: list[bytes] = []

        def submit(self, X: Rows) -> None:
            self.submitted += row_keys(X)

        def __call__(self, X: Rows, share: float = 1.0) -> np.ndarray:
            self.whole += row_keys(X) if share == 1 else []
            return np.asarray(known.accuracy(X))

    evaluate = Counting()
    search(known, "halving", evaluate, window=1)
    assert evaluate.submitted == evaluate.whole != []


def test_what_cannot_be_told_late_is_refused(known: Any) -> None:
    for name in ("halving", "random+halving"):
        with pytest.raises(JobError, match=r"window: got 5; legal: 1, for '.*halving' has to know"):
            search(known, name, lambda X, share=1.0: known.accuracy(X))
    with pytest.raises(JobError, match="window: must be at least 1, got 0"):
        search(known, "random", window=0)
    wrong = {
        "halving": (5, r"search\.window: came 5; legal: 1: halving must know"),
        "random:0.5+halving:0.5": (5, r"search\.window: came 5; legal: 1: halving must know"),
        "nsga2": (9, r"search\.window: came 9; legal: at most search\.evaluations \(8\)"),
    }
    for name, (window, said) in wrong.items():
        with pytest.raises(JobError, match=said):
            parse_job({**SMALL_JOB, "search": {**SMALL_JOB["search"], "searcher": name, "window": window}})
