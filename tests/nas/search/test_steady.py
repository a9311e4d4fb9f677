"""Searches that ask for the next batch before the last one is known: the same result, whatever order rows are scored in."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nas.errors import JobError
from nas.job_file import parse_job
from nas.progress import Silent
from nas.run import RunDirectory
from nas.search import Problem, drive, run_search, searcher_names
from nas.search.driver import SearchResult
from nas.search.evaluation import Evaluation, Task
from nas.search.evaluator import CACHE, InheritedQuality
from nas.search.problem import Rows
from nas.search.stream import Stream
from nas.search.workers import Here, Processes, Workers, evaluation_of
from nas.session import Session
from nas.training.supernet import train_supernet
from search_spaces import Architecture
from search_spaces.space import SearchSpace, row_keys
from tests.conftest import SMALL_JOB

from .conftest import problem_of
from .test_differentiable import Slopes, cells

SAME = ("X", "quality", "latency_ms", "generation", "cost")
LATE = [name for name in searcher_names() if name != "zero-cost"]  # which learns nothing
LATE += ["random+nsga2", "local-search:1/4+differentiable:3/4"]


def search(known: Any, name: str, evaluate: Any = None, **changes: Any) -> SearchResult:
    arguments = {"evaluations": 24, "population": 6, "window": 5} | changes
    return run_search(known.space, name, evaluate or known.accuracy, known.latency, **arguments)


def same(a: SearchResult, b: SearchResult) -> bool:
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
    result = search(known, name, max_latency_ms=1.0)
    assert len(result.X) == len(set(row_keys(result.X))) == 24
    assert np.array_equal(known.space.canonicalise(result.X), result.X)
    assert (result.latency_ms <= 1.0).all()
    assert np.array_equal(result.quality, known.accuracy(result.X))
    assert np.bincount(result.generation).tolist() == [2, 6, 6, 6, 4]  # asked for when 0, 2, 8 and 14 were told
    assert result.cost.tolist() == list(range(1, 25))


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


# --- on a supernet ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("steady") / "run"
    with RunDirectory.create(folder, parse_job(SMALL_JOB)) as run:
        train_supernet(run, Session(run, Silent()).data, Silent())
    return folder


@pytest.fixture(scope="module")
def evaluation(trained: Path) -> Evaluation:
    return evaluation_of(trained)


class Killed(Here):
    """This process, until it dies before the fifth score."""

    def scores(self, tasks: Iterable[Task]) -> Iterator[tuple[Task, float]]:
        for number, answer in enumerate(super().scores(tasks)):
            if number == 4:
                raise KeyboardInterrupt
            yield answer


def found_with(folder: Path, evaluation: Evaluation, workers: Workers, trials: bool) -> tuple[bytes, SearchResult]:
    """The file of evaluations and the result of one search in ``folder``."""
    with RunDirectory.open(folder) as run:
        session = Session(run, Silent())
        session._predictors["cpu"] = Flat()  # type: ignore[assignment]
        with InheritedQuality(run, evaluation, workers, session.trials() if trials else None) as evaluate:
            space = evaluation.supernet.space
            result = run_search(space, "nsga2", evaluate, Flat().ms, evaluations=11, population=4, window=3)
        return run.file(CACHE).read_bytes(), result


class Flat:
    """A predictor of one latency."""

    def ms(self, rows: np.ndarray) -> np.ndarray:
        return np.ones(len(rows))


def test_workers_and_kills_leave_the_same_bytes(trained: Path, evaluation: Evaluation, tmp_path: Path) -> None:
    def copy(name: str) -> Path:
        return Path(shutil.copytree(trained, tmp_path / name))

    alone, expected = found_with(copy("alone"), evaluation, Here(evaluation), trials=False)
    assert len(expected.X) == 11
    spread, result = found_with(copy("spread"), evaluation, Processes(trained, 2), trials=True)
    assert (spread, same(result, expected)) == (alone, True)
    killed = copy("killed")
    with pytest.raises(KeyboardInterrupt):
        found_with(killed, evaluation, Killed(evaluation), trials=True)
    resumed, result = found_with(killed, evaluation, Here(evaluation), trials=True)
    assert (resumed, same(result, expected)) == (alone, True)


def test_rows_out_are_everybodys_and_those_of_a_lost_worker_are_taken_over(
    trained: Path, evaluation: Evaluation, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(trained, tmp_path / "run"))
    rows = evaluation.supernet.space.sample(6, np.random.default_rng(2))
    every = [evaluation.supernet.space.architecture(row) for row in rows]
    value = {a.hash: evaluation.score(Task(a.genes)) for a in every}
    mine: list[Task] = []

    class Noted(Here):
        def scores(self, tasks: Iterable[Task]) -> Iterator[tuple[Task, float]]:
            for task, score in super().scores(tasks):
                mine.append(task)
                yield task, score

    with RunDirectory.open(folder) as run:
        session = Session(run, Silent())
        session._predictors["cpu"] = Flat()  # type: ignore[assignment]
        with InheritedQuality(run, evaluation, Noted(evaluation), session.trials()) as evaluate:
            evaluate.submit(rows)
            helper = session.trials()
            assert [helper.take(), helper.take({every[4].hash})] == [every[0], every[4]]
            assert helper.take({every[1].hash}) == every[1]
            helper.tell({every[4]: value[every[4].hash], every[1]: value[every[1].hash]})  # the first is lost
            assert evaluate(rows[:2]).tolist() == [value[a.hash] for a in every[:2]]
            before = list(mine)
            assert Task(every[0].genes) in before
            assert evaluate(rows[2:]).tolist() == [value[a.hash] for a in every[2:]]
        assert sorted(mine) == sorted(Task(every[i].genes) for i in (0, 2, 3, 5))
        assert [row["hash"] for row in run.read_rows(CACHE)] == [a.hash for a in every]
        assert session.trials().scores() == value
