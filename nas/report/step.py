"""The report step of a run: open the test split once, measure the front's members again, write the page."""

from __future__ import annotations

import json
import time
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import ndtri

from nas.importance.study import Importance, Untold, study
from nas.job import DeviceSection
from nas.metric import ACCURACY, Metric, Score
from nas.report.contents import DeviceReport, Report
from nas.report.final import MEASURED, measure_networks, score_on_test
from nas.report.genes import gene_counts, latency_range
from nas.report.page import render_html
from nas.report.tables import wilson
from nas.search.front import choose_members
from nas.search.study import evaluated_rows
from nas.session import Session, read_front, write_front
from nas.training.supernet import LOG
from search_spaces import Architecture

TESTS = "report/tests.csv"
RANKS = "ranks.csv"
TEST_COLUMNS = ("test_low", "test_high")


def report_step(session: Session) -> None:
    """Test quality and latency of the front's members, then ``report.html``."""
    run = session.run
    if not run.step_done("report"):
        began = time.perf_counter()
        members = {d.name: choose_members(read_front(run, d), session.job.report.members) for d in session.job.devices}
        tests = _test(session, members)
        for device in session.job.devices:
            front = read_front(run, device)
            write_front(run, device, _with_tests(front, tests, session.data.metric))
            measured = measure_networks(session, device, _members(members[device.name], session))
            if len(measured):
                run.write_csv(_measured_file(device), measured)
        run.mark_done("report", seconds=round(time.perf_counter() - began, 1))
    run.write_text("report.html", render_html(assemble(session)))


def _members(frame: pd.DataFrame, session: Session) -> list[Architecture]:
    return [Architecture.from_json(json.loads(text), session.space) for text in frame["genes"]]


def _test(session: Session, members: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Hash and metric of every member on the test split, once in a run."""
    run = session.run
    if not run.file(TESTS).exists():
        wanted = {a.hash: a for frame in members.values() for a in _members(frame, session)}
        tests = score_on_test(session, list(wanted.values()), f"report of run {run.path.name}")
        run.write_csv(TESTS, tests)
    return pd.read_csv(run.file(TESTS), dtype={"hash": str})


def _with_tests(front: pd.DataFrame, tests: pd.DataFrame, metric: Metric) -> pd.DataFrame:
    """The front with the metric on the test split and its 95 % interval; NaN for members that were not tested."""
    scores = {row["hash"]: Score(row["value"], row["deviation"], int(row["examples"])) for _, row in tests.iterrows()}
    found = [scores.get(key) for key in front["hash"]]
    intervals = [(np.nan, np.nan) if score is None else interval(score, metric) for score in found]
    added: dict[str, Any] = {
        f"test_{metric.name}": [np.nan if score is None else score.value for score in found],
        "test_low": [low for low, _ in intervals],
        "test_high": [high for _, high in intervals],
    }
    return front.drop(columns=[c for c in added if c in front]).assign(**added)


def interval(score: Score, metric: Metric) -> tuple[float, float]:
    """The 95 % interval of a score: Wilson's for a share, the normal one of a mean over windows otherwise."""
    if metric == ACCURACY:
        return wilson(round(score.value * score.examples), score.examples)
    half = float(ndtri(0.975)) * score.standard_error
    return score.value - half, score.value + half


def measured_front(session: Session, device: DeviceSection) -> pd.DataFrame:
    """The front with the columns of tests and of measured_ms, measured_low_ms and measured_high_ms; NaN where there is
    no test or measurement (yet)."""
    front = read_front(session.run, device)
    wanted = (f"test_{session.data.metric.name}", *TEST_COLUMNS)
    front = front.assign(**{name: np.nan for name in wanted if name not in front})
    file = session.run.file(_measured_file(device))
    measured = (
        pd.read_csv(file, dtype={"hash": str})
        if file.exists()
        else pd.DataFrame(columns=["hash", *MEASURED], dtype=float)
    )
    return front.merge(measured.astype({"hash": str}), on="hash", how="left")


def _measured_file(device: DeviceSection) -> str:
    return f"report/measured-{device.name}.csv"


def assemble(session: Session) -> Report:
    """Everything that the page shows, read from the run's files."""
    run, job, data = session.run, session.job, session.data
    steps = run.manifest["steps"]
    facts: dict[str, str | float] = {
        f"train {data.examples}": len(data.train.labels),
        f"search {data.examples}": len(data.search.labels),
        f"test {data.examples}": data.test_size,
        "search space": f"{session.space.name}, {session.space.size():.2g} architectures",
        **{f"{name}, seconds": step["seconds"] for name, step in steps.items() if "seconds" in step},
        **{
            name: run.manifest["packages"][name]
            for name in ("torch", "onnxruntime", "executorch")
            if name in run.manifest["packages"]
        },
    }
    ranks = pd.read_csv(run.file(RANKS), dtype={"hash": str}) if run.file(RANKS).exists() else None
    devices = tuple(device_report(session, device) for device in job.devices)
    importance: Importance | str
    try:
        importance = study(session)
    except Untold as error:
        importance = error.why
    return Report(job, run.manifest["created"], facts, pd.read_csv(run.file(LOG)), devices, ranks, importance)


def device_report(session: Session, device: DeviceSection) -> DeviceReport:
    """What was found for one device, read from the run's files."""
    front = measured_front(session, device)
    source, predictor = session.source(device), session.predictor(device)
    designs = session.run.file(f"search/{device.name}-designs.parquet")
    evaluations = pd.read_parquet(session.run.file(f"search/{device.name}.parquet"))
    evaluated = evaluated_rows(evaluations)
    if evaluated is not None:
        again = predictor.predict(evaluated)
        evaluations = evaluations.drop(columns="genes").assign(
            latency_low_ms=again.low_ms, latency_high_ms=again.high_ms
        )
    return DeviceReport(
        name=device.name,
        runtime=device.runtime,
        header=source.header,
        max_latency_ms=device.max_latency_ms,
        front=front,
        evaluations=evaluations,
        hypervolumes=pd.read_parquet(session.run.file(f"search/{device.name}-hypervolume.parquet")),
        validation=source.held_out(session.space),
        metric=session.data.metric,
        mode=device.mode,
        designs=pd.read_parquet(designs) if designs.exists() else None,
        genes=gene_counts(session.space, session.space.matrix(_members(front, session)), evaluated),
        latency_range_ms=latency_range(session.space, predictor, device.max_latency_ms, session.job.seed),
        goal_latency_ms=device.goal_latency_ms,
    )
