"""The report step of a run: open the test split once, measure the front's members again, write the page."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy.stats import norm

from hardware.errors import HardwareError
from hardware.hosts import open_host
from hardware.measure import measure
from hardware.runtimes.base import Item
from hardware.settings import MeasureSettings
from nas.job import DeviceSection
from nas.latency.rig import prepared
from nas.metric import ACCURACY, Metric, Score
from nas.report.contents import DeviceReport, Report
from nas.report.page import render_html
from nas.report.tables import wilson
from nas.search.evaluator import inherit
from nas.search.front import choose_members
from nas.session import Session, read_front, write_front
from nas.training.evaluate import evaluate, one_thread
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
            _measure(session, device, members[device.name])
        run.mark_done("report", seconds=round(time.perf_counter() - began, 1))
    run.write_text("report.html", render_html(assemble(session)))


def _members(frame: pd.DataFrame, session: Session) -> list[Architecture]:
    return [Architecture.from_json(json.loads(text), session.space) for text in frame["genes"]]


def _test(session: Session, members: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Hash and metric of every member on the test split, which is opened here and nowhere else."""
    run, settings = session.run, session.job.search
    if not run.file(TESTS).exists():
        wanted = {a.hash: a for frame in members.values() for a in _members(frame, session)}
        split = session.data.open_test(f"report of run {run.path.name}")
        advance = session.progress.task("test front members", len(wanted))
        rows = []
        for done, (key, architecture) in enumerate(wanted.items(), 1):
            network = inherit(session.supernet, architecture, session.data, settings.calibration_images)
            with one_thread():
                found = evaluate(network, split, session.data, architecture.input_shape[-1])
            rows.append({"hash": key, **asdict(found)})
            advance(done)
        run.write_csv(TESTS, pd.DataFrame(rows))
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
    half = float(norm.ppf(0.975)) * score.standard_error
    return score.value - half, score.value + half


def _measure(session: Session, device: DeviceSection, members: pd.DataFrame) -> None:
    """The members' latency, measured again as whole networks with their real weights, interleaved."""
    try:
        with open_host(device.device, session.progress.say) as host:
            runtime = host.runtime(device.runtime, device.precision, device.threads)
            runtime.require()
            runners = runtime.prepare_many(_networks(session, device, members), session.job.threads)
            advance = session.progress.task(f"measure front {device.name}", 100)
            measured = measure(
                runners,
                settings=MeasureSettings.thorough(),
                threads=device.threads,
                state=host.conditions,
                progress=lambda done, total: advance(100 * done // total),
            )
    except HardwareError as error:
        session.progress.say(f"{device.name}: {error}; its members are not measured again")
        return
    finally:
        torch.set_num_threads(session.job.threads)
    rows = [
        {"hash": m.key, "measured_ms": m.median_ms, "measured_low_ms": m.ci_low_ms, "measured_high_ms": m.ci_high_ms}
        for m in measured
    ]
    session.run.write_csv(f"report/measured-{device.name}.csv", pd.DataFrame(rows))


def _networks(session: Session, device: DeviceSection, members: pd.DataFrame) -> Iterator[Item]:
    for architecture in _members(members, session):
        network = inherit(session.supernet, architecture, session.data, session.job.search.calibration_images)
        yield architecture.hash, *prepared(network.cpu(), architecture.specs[0], device.batch, device.mode)


def measured_front(session: Session, device: DeviceSection) -> pd.DataFrame:
    """The front with the columns of tests and of measured_ms, measured_low_ms and measured_high_ms; NaN where there is
    no test or measurement (yet)."""
    front = read_front(session.run, device)
    wanted = (f"test_{session.data.metric.name}", *TEST_COLUMNS)
    front = front.assign(**{name: np.nan for name in wanted if name not in front})
    columns = ["measured_ms", "measured_low_ms", "measured_high_ms"]
    file = session.run.file(f"report/measured-{device.name}.csv")
    measured = (
        pd.read_csv(file, dtype={"hash": str})
        if file.exists()
        else pd.DataFrame(columns=["hash", *columns], dtype=float)
    )
    return front.merge(measured.astype({"hash": str}), on="hash", how="left")


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
    return Report(job, run.manifest["created"], facts, pd.read_csv(run.file(LOG)), devices, ranks)


def device_report(session: Session, device: DeviceSection) -> DeviceReport:
    """What was found for one device, read from the run's files."""
    front = measured_front(session, device)
    table, predictor = session.table(device), session.predictor(device)
    held_out = table.networks[table.networks["role"] == "validate"]
    networks = _members(held_out.rename(columns={"key": "genes"}), session)
    predicted = predictor.predict(session.space.matrix(networks))
    validation = pd.DataFrame(
        {
            "predicted_ms": predicted.mean_ms,
            "low_ms": predicted.low_ms,
            "high_ms": predicted.high_ms,
            "measured_ms": held_out["median_ms"].to_numpy(),
        }
    )
    designs = session.run.file(f"search/{device.name}-designs.parquet")
    return DeviceReport(
        name=device.name,
        runtime=device.runtime,
        header=table.header,
        max_latency_ms=device.max_latency_ms,
        front=front,
        evaluations=pd.read_parquet(session.run.file(f"search/{device.name}.parquet")),
        hypervolumes=pd.read_parquet(session.run.file(f"search/{device.name}-hypervolume.parquet")),
        validation=validation,
        metric=session.data.metric,
        mode=device.mode,
        designs=pd.read_parquet(designs) if designs.exists() else None,
    )
