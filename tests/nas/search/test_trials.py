"""Trials of a search: everybody sees them, nobody takes one twice, and a storage that is lost costs nothing."""

import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import optuna
import pytest

import nas.search.trials
from nas.cli import main
from nas.errors import JobError
from nas.job_file import parse_job
from nas.metric import ACCURACY, BITS_PER_BYTE
from nas.progress import Silent
from nas.run import RunDirectory
from nas.search.evaluation import Task
from nas.search.evaluator import CACHE, InheritedQuality
from nas.search.trials import JOURNAL, Trials, open_storage, shown
from nas.search.worker import work
from nas.search.workers import Here, Workers
from nas.session import Session
from search_spaces import Architecture, SearchSpace, make_space
from tests.conftest import SMALL_JOB


@pytest.fixture(scope="module")
def space() -> SearchSpace:
    return make_space({"name": "hybrid-vision", "preset": "tiny", "resolutions": [8], "in_channels": 1, "classes": 10})


@pytest.fixture(scope="module")
def architectures(space: SearchSpace) -> list[Architecture]:
    return [space.architecture(row) for row in space.sample(5, np.random.default_rng(1))]


def opened(storage: str, space: SearchSpace, said: list[str] | None = None) -> Trials:
    latency = {"phone": lambda rows: rows.sum(axis=1) + 1.0}
    return Trials(storage, "study", space, ACCURACY, latency, [].append if said is None else said.append)


@pytest.mark.parametrize("kind", ["journal", "sqlite"])
def test_two_share_a_study(kind: str, tmp_path: Path, space: SearchSpace, architectures: list[Architecture]) -> None:
    storage = str(tmp_path / "study.log") if kind == "journal" else f"sqlite:///{tmp_path}/study.db"
    one, two = opened(storage, space), opened(storage, space)
    one.offer(architectures[:3])
    two.offer(architectures[:3])
    taken = [one.take(), two.take({architectures[2].hash}), two.take()]
    assert {a.hash for a in taken if a} == {a.hash for a in architectures[:3]}
    assert one.take() is None
    assert taken[1] == architectures[2]
    one.tell({architectures[0]: 0.5, architectures[4]: 0.25})  # the last was never offered
    two.tell({architectures[0]: 0.9, architectures[2]: 0.75})  # the first is told already
    expected = {architectures[0].hash: 0.5, architectures[4].hash: 0.25, architectures[2].hash: 0.75}
    assert one.scores() == two.scores() == expected
    one.begin()
    assert not two.finished
    one.finish()
    assert two.finished
    study = optuna.load_study(study_name="study", storage=open_storage(storage))
    done = [t for t in study.trials if t.state.is_finished()]
    assert study.metric_names == ["accuracy", "phone ms"]
    for trial in done:
        architecture = next(a for a in architectures if a.hash == trial.user_attrs["hash"])
        assert trial.params == architecture.values
        assert trial.values[1] == space.matrix([architecture]).sum() + 1.0


def test_a_lost_storage_is_said_and_told_later(
    tmp_path: Path, space: SearchSpace, architectures: list[Architecture], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nas.search.trials, "WAITS", (0.01,))
    said: list[str] = []
    trials = opened(f"sqlite:///{tmp_path}/study.db?timeout=0.05", space, said)
    trials.tell({architectures[0]: 0.5})
    with sqlite3.connect(tmp_path / "study.db") as other:
        other.execute("BEGIN EXCLUSIVE")  # from now on nobody else can read or write
        trials.offer(architectures[1:3])
        trials.tell({architectures[1]: 0.6})
        assert trials.take() is None
        assert trials.scores() == {}
        assert len(said) == 1
        assert "cannot be reached" in said[0]
        trials.finish()
        assert said[1:] == [said[0], "1 evaluations are not in the storage of the trials; the run has them all"]
        other.rollback()
    trials.tell({architectures[2]: 0.7})
    assert said[3:] == ["the storage of the trials is back"]
    assert trials.scores() == {a.hash: value for a, value in zip(architectures, (0.5, 0.6, 0.7), strict=False)}


def test_what_cannot_be_used_is_refused(tmp_path: Path, space: SearchSpace) -> None:
    opened(f"sqlite:///{tmp_path}/study.db", space)
    with pytest.raises(JobError, match="has other objectives"):
        Trials(f"sqlite:///{tmp_path}/study.db", "study", space, BITS_PER_BYTE, {}, print)
    with pytest.raises(JobError, match=r"--storage: nosuch://.* cannot be opened"):
        opened("nosuch://me:secret@host/base", space)
    assert shown("postgresql://me:secret@host/base") == "postgresql://me:***@host/base"
    assert shown("folder/a@b.log") == "folder/a@b.log"


class Nobody(Workers):
    """Workers that must not be asked."""

    def scores(self, tasks: Iterable[Task]) -> Iterator[tuple[Task, float]]:
        raise AssertionError(f"asked for {list(tasks)}")


class Slow(Workers):
    """Workers that take a task and answer only when the others have evaluated all the rest."""

    def __init__(self, inner: Here, rest: threading.Event) -> None:
        self._inner, self._rest = inner, rest

    def scores(self, tasks: Iterable[Task]) -> Iterator[tuple[Task, float]]:
        for task in tasks:
            assert self._rest.wait(60)
            yield from self._inner.scores([task])


def test_a_worker_evaluates_for_a_search_and_the_search_takes_over_what_a_lost_one_held(tmp_path: Path) -> None:
    with RunDirectory.create(tmp_path / "run", parse_job(SMALL_JOB)) as run:
        with pytest.raises(JobError, match="has not done train, profile:cpu"):
            work(run.path, None, Silent())
        session = Session(run, Silent())
        evaluation = session.evaluation
        run.mark_done("profile:cpu")
        session._predictors["cpu"] = Flat()  # type: ignore[assignment]
        rows = session.space.sample(5, np.random.default_rng(2))
        first = [session.space.architecture(row) for row in rows]
        lost = session.trials()
        lost.offer(first[4:])
        assert lost.take() == first[4]  # and is never told
        rest = threading.Event()
        with InheritedQuality(run, evaluation, Slow(Here(evaluation), rest), session.trials()) as evaluate:
            answer: list[float] = []
            search = threading.Thread(target=lambda: answer.extend(evaluate(rows)))
            search.start()
            helper = session.trials()
            while len(helper.scores()) < 3:
                if (taken := helper.take()) is not None:
                    helper.tell({taken: evaluation.score(Task(taken.genes))})
            rest.set()
            search.join()
        assert answer == [evaluation.score(Task(a.genes)) for a in first]
        assert [row["hash"] for row in run.read_rows(CACHE)] == [a.hash for a in first]
        assert session.trials().finished
        assert session.trials().scores() == {a.hash: value for a, value in zip(first, answer, strict=True)}
        run.file(JOURNAL).unlink()  # a new study: it is shown what is known, and nothing is evaluated again
        with InheritedQuality(run, evaluation, Nobody(), session.trials()) as evaluate:
            assert evaluate(rows).tolist() == answer
        assert session.trials().scores() == {a.hash: value for a, value in zip(first, answer, strict=True)}


class Interrupted(Workers):
    """Workers that let somebody else tell an evaluation after their own last one."""

    def __init__(self, inner: Here, meanwhile: Callable[[], None]) -> None:
        self._inner, self._meanwhile = inner, meanwhile

    def scores(self, tasks: Iterable[Task]) -> Iterator[tuple[Task, float]]:
        for task in tasks:
            yield from self._inner.scores([task])
            self._meanwhile()


def test_what_others_tell_last_is_kept(tmp_path: Path) -> None:
    with RunDirectory.create(tmp_path / "run", parse_job(SMALL_JOB)) as run:
        session = Session(run, Silent())
        evaluation = session.evaluation
        session._predictors["cpu"] = Flat()  # type: ignore[assignment]
        rows = session.space.sample(2, np.random.default_rng(3))
        mine, theirs = (session.space.architecture(row) for row in rows)
        other = session.trials()
        other.offer([theirs])
        assert other.take() == theirs
        value = evaluation.score(Task(theirs.genes))
        workers = Interrupted(Here(evaluation), lambda: other.tell({theirs: value}))
        with InheritedQuality(run, evaluation, workers, session.trials()) as evaluate:
            assert evaluate(rows).tolist() == [evaluation.score(Task(mine.genes)), value]
        assert [row["hash"] for row in run.read_rows(CACHE)] == [mine.hash, theirs.hash]


class Flat:
    """A predictor of one latency."""

    def ms(self, rows: np.ndarray) -> np.ndarray:
        return np.ones(len(rows))


def test_the_command_names_a_storage_that_cannot_be_opened(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["search", "quickstart", "--out", str(tmp_path / "run"), "--storage", "nosuch://host/base"]) == 2
    assert "--storage: nosuch://host/base cannot be opened" in capfd.readouterr().err
    assert not (tmp_path / "run").exists()
