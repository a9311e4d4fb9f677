"""Workers on a Ray cluster of two nodes: the scores of this process, whatever dies meanwhile."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest

os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))  # else Ray writes one to the user's home
os.environ.setdefault("RAY_AUTH_MODE", "token")  # read when Ray is imported
pytest.importorskip("ray", reason='Ray is not installed; pip install "hybrid-nas[ray]" adds it')

import ray
from ray.cluster_utils import Cluster

from nas.data import load_data
from nas.errors import JobError
from nas.job_file import parse_job
from nas.search.evaluation import Evaluation, Task
from nas.search.ray_workers import RayWorkers
from nas.search.workers import Here
from nas.training.supernet import space_of
from search_spaces import Supernet

JOB = {
    "name": "ray-workers",
    "data": {"name": "digits", "limit": 300},
    "space": {"resolutions": [8]},
    "train": {"epochs": 1, "batch_size": 64, "warmup_epochs": 0.1, "subnets": 2},
    "devices": [{"name": "cpu", "runtime": "torch"}],
    "search": {"evaluations": 8, "population": 4, "images": 40, "calibration_images": 32},
}
QUICK = {"health_check_period_ms": 500, "health_check_failure_threshold": 2, "health_check_initial_delay_ms": 0}


@pytest.fixture(scope="module")
def evaluation() -> Evaluation:
    """Of a supernet that is not trained: its scores differ all the same."""
    job = parse_job(JOB)
    data = load_data(job.data)
    return Evaluation(job, Supernet(space_of(job, data), seed=3).eval(), data)


@pytest.fixture(scope="module")
def tasks(evaluation: Evaluation) -> list[Task]:
    rows = evaluation.supernet.space.sample(12, np.random.default_rng(0))
    return [Task(tuple(row.tolist()), 20 if i % 3 == 0 else None) for i, row in enumerate(rows)]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """One node of one CPU, of which this process is a client."""
    head = {"num_cpus": 1, "include_dashboard": False, "_system_config": QUICK}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    yield cluster
    cluster.shutdown()


def test_scores_are_those_of_this_process_whatever_joins_and_dies(
    cluster: Cluster, evaluation: Evaluation, tasks: list[Task]
) -> None:
    drawn: list[Task] = []

    def source() -> Iterator[Task]:
        for task in tasks:
            drawn.append(task)
            yield task

    found: dict[Task, float] = {}
    with RayWorkers(evaluation, cluster.address) as workers:
        for done, (task, value) in enumerate(workers.scores(source()), 1):
            found[task] = value
            assert len(drawn) <= done + 2  # no task waits for a worker
            if done == 3:
                (victim,) = worker_processes()
                victim.suspend()  # so that it has a task when it dies, and all goes on only on the node that joins
                second = cluster.add_node(num_cpus=1)
            if done == 6:
                victim.kill()
            if done == 8:
                cluster.remove_node(second, allow_graceful=False)
        assert not dict(workers.scores([]))
    assert found == dict(Here(evaluation).scores(tasks))
    assert not ray.is_initialized()


def worker_processes() -> list[psutil.Process]:
    """The processes of our actors (Ray names them after the class)."""
    children = psutil.Process().children(recursive=True)
    return [child for child in children if child.cmdline() and child.cmdline()[0].startswith("ray::_Worker")]


def test_what_a_node_cannot_read_is_told_with_its_name(
    cluster: Cluster, evaluation: Evaluation, tasks: list[Task], tmp_path: Path
) -> None:
    data = evaluation.job.data.model_copy(update={"name": "image-folder", "folder": tmp_path / "none"})
    elsewhere = replace(evaluation, job=evaluation.job.model_copy(update={"data": data}))
    with (
        RayWorkers(elsewhere, cluster.address) as workers,
        pytest.raises(JobError, match=r"(?s)on node .+ \(.+\): .*none"),
    ):
        list(workers.scores(tasks))


@pytest.mark.parametrize("address", ["127.0.0.1:1", "ray://127.0.0.1:1", "nowhere", "nowhere:port"])
def test_an_address_without_a_cluster_is_refused_at_once(evaluation: Evaluation, address: str) -> None:
    with pytest.raises(JobError, match=f"no cluster at '{address}'.*legal: local"):
        RayWorkers(evaluation, address)
    assert not ray.is_initialized()


def test_without_ray_the_command_that_installs_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.delitem(sys.modules, "nas.search.ray_workers")
    with pytest.raises(JobError, match=r'pip install "hybrid-nas\[ray\]"'):
        import nas.search.ray_workers  # noqa: F401
