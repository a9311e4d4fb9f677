"""Rows that are out on a trained supernet: in processes, beside helpers and after a kill, the same bytes."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest

from nas.job_file import parse_job
from nas.progress import Silent
from nas.run import RunDirectory
from nas.search import run_search
from nas.search.driver import SearchResult
from nas.search.evaluation import Evaluation, Task
from nas.search.evaluator import CACHE, InheritedQuality
from nas.search.workers import Here, Processes, Workers, evaluation_of
from nas.session import Session
from nas.training.supernet import train_supernet
from tests.conftest import SMALL_JOB

from .test_steady import same


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
