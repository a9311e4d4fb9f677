"""Inherited quality: the same number here and in worker processes, counted once, and right."""

import os
import signal
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from nas.data import to_batch
from nas.errors import JobError
from nas.job_file import parse_job
from nas.progress import Silent
from nas.run import RunDirectory
from nas.search.evaluation import Evaluation, Task, inherit
from nas.search.evaluator import CACHE, PARTIAL, InheritedQuality
from nas.search.workers import Here, Processes, Workers, evaluation_of
from nas.session import Session
from nas.training.supernet import train_supernet
from tests.conftest import SMALL_JOB


class Nobody(Workers):
    """Workers that must not be asked."""

    def scores(self, tasks: Iterable[Task]) -> Iterator[tuple[Task, float]]:
        raise AssertionError(f"asked for {list(tasks)}")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory):
    with RunDirectory.create(tmp_path_factory.mktemp("evaluator") / "run", parse_job(SMALL_JOB)) as opened:
        train_supernet(opened, Session(opened, Silent()).data, Silent())
        yield opened


@pytest.fixture(scope="module")
def evaluation(run: RunDirectory) -> Evaluation:
    return evaluation_of(run.path)


@pytest.fixture(scope="module")
def rows(evaluation: Evaluation) -> np.ndarray:
    return evaluation.supernet.space.sample(6, np.random.default_rng(0))


class Killing(Processes):
    """Processes one of which is killed after the first score."""

    killed = False

    def scores(self, tasks: Iterable[Task]) -> Iterator[tuple[Task, float]]:
        for answer in super().scores(tasks):
            yield answer
            if not self.killed:
                assert self._pool is not None
                os.kill(next(iter(self._pool._processes)), signal.SIGKILL)
                self.killed = True


def test_processes_and_this_one_agree_though_one_is_killed_and_the_cache_answers_in_the_order_asked(
    run: RunDirectory, evaluation: Evaluation, rows: np.ndarray
) -> None:
    alone = [evaluation.score(Task(tuple(map(int, row)))) for row in rows]
    with InheritedQuality(run, evaluation, Killing(run.path, 2)) as evaluate:
        assert evaluate(rows).tolist() == alone
    kept = run.read_rows(CACHE)
    assert [float(row["accuracy"]) for row in kept] == alone
    assert [row["hash"] for row in kept] == [evaluation.supernet.space.architecture(row).hash for row in rows]
    with InheritedQuality(run, evaluation, Nobody()) as again:
        assert again(rows[::-1]).tolist() == alone[::-1]
    assert run.read_rows(CACHE) == kept


def test_a_share_looks_at_the_first_examples_and_is_kept_apart(
    run: RunDirectory, evaluation: Evaluation, rows: np.ndarray
) -> None:
    with InheritedQuality(run, evaluation, Here(evaluation)) as evaluate:
        part = evaluate(rows[:2], 0.25)
        assert part.tolist() == [evaluation.score(Task(tuple(map(int, row)), 10)) for row in rows[:2]]
    with InheritedQuality(run, evaluation, Nobody()) as again:
        assert again(rows[:2], 0.25).tolist() == part.tolist()
    assert {row["examples"] for row in run.read_rows(PARTIAL)} == {"10"}


def test_processes_that_cannot_start_are_reported(tmp_path: Path) -> None:
    with Processes(tmp_path, 1) as workers, pytest.raises(JobError, match="workers: a process died twice"):
        list(workers.scores([Task((0,))]))


def test_a_parcel_scores_the_same(evaluation: Evaluation, rows: np.ndarray) -> None:
    task = Task(tuple(map(int, rows[0])))
    assert Evaluation.unpack(evaluation.pack()).score(task) == evaluation.score(task)


def test_score_counts_right_answers_on_the_search_split(evaluation: Evaluation) -> None:
    space, data = evaluation.supernet.space, evaluation.data
    architecture = space.architecture(space.sample(1, np.random.default_rng(9))[0])
    network = inherit(evaluation.supernet, architecture, data, 32)
    right = 0
    with torch.no_grad():
        for image, label in zip(data.search.images[:40], data.search.labels[:40], strict=True):
            scores = network(to_batch(image[None], data.mean, data.std, 8))
            right += int(scores.argmax() == label)
    assert evaluation.score(Task(architecture.genes)) == right / 40
