"""`nas bench searchers` searches as `nas search` does: with the job's window, goal and resolutions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from nas.bench.supernet_search import _results
from nas.cli import main
from nas.pipeline import search_step
from nas.progress import Silent
from nas.run import RunDirectory
from nas.session import Session
from tests.conftest import SMALL_JOB
from tests.nas.bench.conftest import DEVICE, train

SEARCH = {"searcher": "nsga2", "window": 4, "metric_resolution": 0.1, "latency_resolution": "auto", "controls": []}
JOB = SMALL_JOB | {
    "devices": [DEVICE | {"goal_latency_ms": 0.05}],
    "search": {**SMALL_JOB["search"], **SEARCH, "evaluations": 9},
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(JOB, tmp_path_factory.mktemp("bench") / "run")


def test_a_searcher_that_cannot_have_the_window_is_refused_at_once(
    trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", "searchers", str(trained), "--searchers", "random,random+halving"]) == 2
    assert "search.window: came 4" in capsys.readouterr().err
    assert not (trained / "search" / "evaluations.csv").exists()


def test_it_finds_what_the_search_of_the_job_finds(trained: Path) -> None:
    with RunDirectory.open(trained) as run:
        session = Session(run, Silent())
        search_step(session)
        expected = pd.read_parquet(run.file("search/cpu.parquet"))
        (section,) = session.job.devices
        same, again = _results(session, section, ["nsga2"], 9, 2)
    assert [(result.searcher, result.seed) for result in (same, again)] == [("nsga2", 0), ("nsga2", 1)]
    assert [same.space.architecture(row).hash for row in same.X] == expected["hash"].tolist()
    assert np.array_equal(same.worth, expected["charged_accuracy"])
    assert (same.worth < same.quality).any()  # the goal costs something
    assert not np.array_equal(same.X, again.X)
