"""The report of a real run: what it says of the searches comes from the run's files alone."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest

from nas.progress import Silent
from nas.report.contents import Report
from nas.report.page import render_html
from nas.report.separation import separation_sentence
from nas.report.step import assemble
from nas.report.unexplored import unexplored
from nas.run import RunDirectory
from nas.session import Session
from tests.conftest import Once
from tests.nas.test_cli import _finished


@pytest.fixture(scope="module")
def finished(once: Once) -> Path:
    return once("cli-run", _finished) / "run"


def read(run: Path) -> Report:
    with RunDirectory.open(run, read_only=True) as opened:
        return assemble(Session(opened, Silent()))


def test_a_run_tells_what_its_searches_saw(finished: Path) -> None:
    report = read(finished)
    (device,) = report.devices
    counted = device.genes.groupby("gene")[["front", "evaluated"]].sum()
    assert counted.loc["stage1.depth"].tolist() == [len(device.front), len(device.evaluations)]
    latency = device.evaluations["latency_ms"]
    assert (device.evaluations["latency_low_ms"] < latency).all()
    fastest, slowest = device.latency_range_ms
    assert 0 < fastest < latency.median() < slowest
    html = (finished / "report.html").read_text()
    said = [separation_sentence(device, "predictor-nsga2", report.search_images), *unexplored(device)]
    for part in ("plot-genes-0", "plot-share-0", "What was never explored", *said):
        assert part in html
    assert render_html(report) == html


def test_a_run_of_an_earlier_release_says_what_it_does_not_hold(finished: Path, tmp_path: Path) -> None:
    old = shutil.copytree(finished, tmp_path / "run")
    file = old / "search" / "cpu.parquet"
    pd.read_parquet(file).drop(columns="genes").to_parquet(file)
    report = read(old)
    html = render_html(report)
    assert "this run does not hold the genes of its evaluations" in html
    assert "plot-genes-0" in html  # the front has its genes
    assert "the 90 % interval of latency and" not in html
