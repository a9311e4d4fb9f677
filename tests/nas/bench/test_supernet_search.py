"""Searchers on a trained run: their growth, their last fronts, and mistakes refused."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from nas.cli import main
from nas.job_file import parse_job
from nas.progress import Silent
from nas.run import RunDirectory
from nas.session import Session
from tests.nas.bench.conftest import JOB


def test_searchers_grow_and_their_members_are_tested_and_measured(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["bench", "searchers", str(trained), "--searchers", "random,random+nsga2", "--budget", "4,8"]
    arguments += ["--seeds", "2", "--members", "1", "--json", "--out", str(tmp_path / "out")]
    assert main(arguments) == 0
    found = json.loads(capsys.readouterr().out)
    rows = pd.DataFrame(found["rows"]).set_index(["searcher", "budget"])
    assert (rows["seeds"] == 2).all()
    for searcher in ("random", "random+nsga2"):
        missing = rows["missing_hypervolume_mean"][searcher]
        assert 0 <= missing[8] <= missing[4] < 1
    members = pd.DataFrame(found["members"])
    assert members.groupby("searcher").size().eq(1).all()
    assert members["measured_ms"].notna().all()
    assert members["test_accuracy"].between(0, 1).all()
    with RunDirectory.open(trained, read_only=True) as run:
        session = Session(run, Silent())
        known = {row["hash"]: float(row["accuracy"]) for row in run.read_rows("search/evaluations.csv")}
        assert session.job == parse_job(JOB)
    assert dict(zip(members["hash"], members["accuracy"], strict=True)).items() <= known.items()
    assert {file.name for file in (tmp_path / "out").iterdir()} == {"growth.csv", "members.csv", "growth.png"}


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["bench", "searchers", "RUN", "--searchers", "nsga9"], "nsga2"),
        (["bench", "searchers", "RUN", "--device", "phone"], "--device"),
        (["bench", "searchers", "nowhere"], "is no run"),
        (["bench", "resume", "JOB", "--out", "OUT", "--searchers", "nsga9"], "nsga2"),
        (["bench", "resume", "quickstart", "--out", "OUT"], "devices.cpu-torch.table"),
    ],
)
def test_mistakes_are_refused(
    arguments: list[str], named: str, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = {"RUN": str(trained), "JOB": str(trained.parent / "job.yaml"), "OUT": str(tmp_path / "out")}
    assert main([names.get(word, word) for word in arguments]) == 2
    assert named in capsys.readouterr().err
