"""Inherited quality: the same number here and in worker processes, counted once, and right."""

from pathlib import Path

import numpy as np
import pytest
import torch

from nas.data import load_data, to_batch
from nas.job_file import parse_job
from nas.progress import Silent
from nas.run import RunDirectory
from nas.search.evaluator import CACHE, InheritedQuality, inherit
from nas.training.supernet import train_supernet

JOB = {
    "name": "evaluator",
    "threads": 2,
    "data": {"name": "digits", "limit": 300},
    "space": {"resolutions": [8]},
    "train": {"epochs": 1, "batch_size": 64, "warmup_epochs": 0.1, "subnets": 2},
    "devices": [{"name": "cpu", "runtime": "torch"}],
    "search": {"evaluations": 8, "population": 4, "images": 40, "calibration_images": 32},
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory):
    with RunDirectory.create(tmp_path_factory.mktemp("evaluator") / "run", parse_job(JOB)) as opened:
        yield opened


def test_workers_and_this_process_agree_and_the_cache_answers(run: RunDirectory) -> None:
    data = load_data(run.job.data)
    supernet = train_supernet(run, data, Silent())
    rows = supernet.space.sample(6, np.random.default_rng(0))
    with InheritedQuality(run, supernet, data) as evaluate:
        in_workers = evaluate(rows)
        alone = [evaluate._here(supernet.space.architecture(row)) for row in rows]
    assert in_workers.tolist() == alone
    assert len(run.read_rows(CACHE)) == 6
    supernet.zero_grad()
    with torch.no_grad():
        for parameter in supernet.parameters():
            parameter.zero_()  # a second evaluation would now differ
    with InheritedQuality(run, supernet, data) as again:
        assert again(rows).tolist() == alone
    assert len(run.read_rows(CACHE)) == 6


def test_score_counts_right_answers_on_the_search_split(run: RunDirectory) -> None:
    data = load_data(run.job.data)
    supernet = train_supernet(run, data, Silent())
    architecture = supernet.space.architecture(supernet.space.sample(1, np.random.default_rng(9))[0])
    with InheritedQuality(run, supernet, data) as evaluate:
        value = evaluate(supernet.space.matrix([architecture]))[0]
    network = inherit(supernet, architecture, data, 32)
    right = 0
    with torch.no_grad():
        for image, label in zip(data.search.images[:40], data.search.labels[:40], strict=True):
            scores = network(to_batch(image[None], data.mean, data.std, 8))
            right += int(scores.argmax() == label)
    assert value == right / 40
    assert Path(run.file(CACHE)).exists()
