"""Soft goals: what is slower pays what MnasNet says, every searcher obeys without knowing it, and users are told."""

from __future__ import annotations

import json
import shutil
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from nas.cli import main
from nas.errors import JobError
from nas.job import DeviceSection, SearchSection
from nas.job_file import parse_job
from nas.progress import Silent
from nas.run import RunDirectory
from nas.search import Problem, drive, pareto, run_search, searcher_names
from nas.search.driver import search_together
from nas.search.front import together_frame
from nas.search.study import evaluations_frame, hypervolume_frame, search_devices
from nas.training.supernet import WEIGHTS
from tests.conftest import Once
from tests.nas.search.conftest import problem_of
from tests.nas.search.test_study import Scaled
from tests.nas.test_cli import _finished

positive = st.floats(1e-3, 1e3)
qualities = st.floats(-100, 100)


def rewarded(quality: np.ndarray, latency: np.ndarray, goal: float) -> np.ndarray:
    """MnasNet's reward, of a gain; what it makes of a loss, which is negative here."""
    paid = np.where(latency > goal, (latency / goal) ** 0.07, 1.0)
    return np.where(quality > 0, quality / paid, quality * paid)


@settings(deadline=None)
@given(st.lists(st.tuples(qualities, positive), min_size=1, max_size=20), positive)
def test_what_is_slower_pays_and_what_is_not_does_not(points: Any, goal: float) -> None:
    problem = Problem(None, 1, 1, known={"latency_ms": len}, goals={"latency_ms": goal})  # type: ignore[arg-type]
    quality, latency = np.array(points).T
    F = problem.charged(np.column_stack((-quality, latency)))
    assert np.array_equal(F[:, 1], latency)
    assert -F[:, 0] == pytest.approx(rewarded(quality, latency, goal), rel=1e-12)
    assert (-F[:, 0] <= quality).all()
    assert np.array_equal(-F[:, 0][latency <= goal], quality[latency <= goal])
    # nobody jumps the queue: at one latency, and at one quality, the order stays
    again = problem.charged(np.column_stack((np.sort(-quality), np.full(len(quality), 2 * goal))))
    assert (np.diff(again[:, 0]) >= 0).all()
    again = problem.charged(np.column_stack((np.full(len(latency), -quality[0]), np.sort(latency))))
    assert (np.diff(again[:, 0]) >= 0).all()


@pytest.mark.parametrize("searcher", searcher_names(shares=True))
def test_every_searcher_obeys_without_knowing(known: Any, searcher: str) -> None:
    goal = float(np.quantile(known.latency(known.space.sample(500, np.random.default_rng(0))), 0.3))

    def charged(X: np.ndarray, share: float = 1.0) -> np.ndarray:
        return -rewarded(known.accuracy(X), known.latency(X), goal)

    def plain(X: np.ndarray, share: float = 1.0) -> np.ndarray:
        return -np.asarray(known.accuracy(X))

    given, evaluations = {"evaluations": 16, "population": 8, "shares": True}, 16
    with_goal = drive(problem_of(known, goals={"latency_ms": goal}, **given), searcher, plain)
    reference = drive(problem_of(known, **given), searcher, charged)
    assert np.array_equal(with_goal.X, reference.X)
    np.testing.assert_allclose(with_goal.F, reference.F)
    assert np.array_equal(with_goal.values[:, 0], plain(with_goal.X))
    assert with_goal.spent <= Fraction(evaluations)


def test_the_front_is_judged_by_what_is_left_and_shows_what_is_true(known: Any) -> None:
    sample = known.latency(known.space.sample(500, np.random.default_rng(0)))
    goal, limit = float(np.quantile(sample, 0.3)), float(np.quantile(sample, 0.9))
    result = run_search(
        known.space, "nsga2", known.accuracy, known.latency,
        evaluations=60, population=20, max_latency_ms=limit, goal_latency_ms=goal,
    )  # fmt: skip
    assert np.array_equal(result.quality, known.accuracy(result.X))
    assert result.latency_ms == pytest.approx(known.latency(result.X))
    assert result.worth == pytest.approx(rewarded(result.quality, result.latency_ms, goal))
    assert (result.latency_ms > goal).any()
    assert (result.latency_ms <= limit).all()
    plain = pareto.non_dominated(np.column_stack((-result.quality, result.latency_ms)))
    front = set(result.front().tolist())
    assert front == set(np.flatnonzero(pareto.non_dominated(np.column_stack((-result.worth, result.latency_ms)))))
    assert {i for i in np.flatnonzero(plain) if result.latency_ms[i] <= goal} <= front <= set(np.flatnonzero(plain))


def test_goals_of_several_devices_are_all_paid(known: Any) -> None:
    sample = known.latency(known.space.sample(500, np.random.default_rng(0)))
    goals = [float(np.quantile(sample, 0.2)), float(np.quantile(sample**1.2, 0.4))]
    devices = [
        DeviceSection(name=name, runtime="torch", goal_latency_ms=goal)
        for name, goal in zip(("one", "two"), goals, strict=True)
    ]
    devices.append(DeviceSection(name="free", runtime="torch"))
    settings = SearchSection(evaluations=24, population=8, searcher="nsga2", controls=("random",), together=True)
    predictors: Any = [Scaled(known, 1.0), Scaled(known, 1.2), Scaled(known, 0.9)]
    found = search_devices(known.space, devices, settings, known.accuracy, predictors, 0, Silent())
    for one, two, free in zip(*(results["nsga2"] for results in found), strict=True):
        paid = np.maximum(one.latency_ms / goals[0], 1) * np.maximum(two.latency_ms / goals[1], 1)
        for result in (one, two, free):
            assert result.worth == pytest.approx(result.quality / paid**0.07)
        assert free.goal_latency_ms is None
    frame = together_frame(["one", "two", "free"], [results["nsga2"] for results in found])
    assert frame["over_goal_one"].to_numpy() == pytest.approx(frame["latency_ms_one"] / goals[0] - 1)
    assert "over_goal_free" not in frame
    evaluations = evaluations_frame(found[0])
    assert (evaluations["charged_accuracy"] <= evaluations["accuracy"]).all()
    assert (hypervolume_frame(found[0])["hypervolume"] >= 0).all()


@pytest.mark.parametrize(
    ("goals", "said"),
    [({"latency_ms": 6.0}, "at most max_latency_ms \\(5\\)"), ({"latency_ms": -1.0}, "a positive number"),
     ({"latency_ms": float("nan")}, "positive"), ({"macs": 1.0}, "known objectives latency_ms")],
)  # fmt: skip
def test_illegal_goals_are_refused_with_the_legal_values(known: Any, goals: dict[str, float], said: str) -> None:
    with pytest.raises(JobError, match=said):
        problem_of(known, limit=5.0, goals=goals)
    problem_of(known, limit=5.0, goals={"latency_ms": 5.0})


def test_a_job_refuses_a_goal_above_the_limit() -> None:
    job: dict[str, Any] = {"name": "x", "data": {"name": "digits"}, "space": {"resolutions": [8]}}
    device = {"name": "cpu", "runtime": "torch", "max_latency_ms": 5, "goal_latency_ms": 5}
    assert parse_job({**job, "devices": [device]}).devices[0].goal_latency_ms == 5
    legal = r"devices\[0\].goal_latency_ms: came 6.0; legal: a number above 0, at most devices\[0\].max_latency_ms"
    with pytest.raises(JobError, match=legal):
        parse_job({**job, "devices": [{**device, "goal_latency_ms": 6}]})


def test_without_goals_nothing_is_charged(known: Any) -> None:
    result = search_together(problem_of(known), "random", known.accuracy)["latency_ms"]
    assert result.charged is None
    assert np.array_equal(result.worth, result.quality)
    assert "charged_accuracy" not in evaluations_frame({"random": [result]})


def searched_with_goal(finished: Path, folder: Path) -> None:
    """In ``folder``: the finished run as it was (``before``), and ``run``, whose job then got a goal, resolutions, more
    evaluations and no exports: searched and reported again."""
    shutil.copytree(finished, folder / "before")
    run = shutil.copytree(finished, folder / "run")
    job = yaml.safe_load((run / "job.yaml").read_text())
    job["devices"][0]["goal_latency_ms"] = float(pd.read_csv(run / "front-cpu.csv")["latency_ms"].min())
    job["search"] |= {"evaluations": 12, "metric_resolution": "auto", "latency_resolution": "auto"}
    job["export"] = {"members": 0, "formats": []}
    (folder / "job.yaml").write_text(yaml.safe_dump(job))
    trained = (run / WEIGHTS).stat().st_mtime_ns
    assert main(["search", str(folder / "job.yaml"), "--out", str(run)]) == 0
    assert main(["report", str(run)]) == 0
    assert (run / WEIGHTS).stat().st_mtime_ns == trained


@pytest.fixture(scope="module")
def with_goal(once: Once, brief: None) -> Path:
    """See `searched_with_goal`; to be read only."""
    finished = once("cli-run", _finished) / "run"
    return once("run-with-goal", partial(searched_with_goal, finished))


def test_a_run_takes_a_goal_over_and_says_how_members_stand_to_it(
    with_goal: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = with_goal / "run"
    capsys.readouterr()
    assert main(["front", str(run), "--json"]) == 0
    members = json.loads(capsys.readouterr().out)["cpu"]
    goal = yaml.safe_load((run / "job.yaml").read_text())["devices"][0]["goal_latency_ms"]
    for member in members:
        assert member["over_goal"] == pytest.approx(member["latency_ms"] / goal - 1, abs=1e-6)
        paid = max(member["latency_ms"] / goal, 1) ** 0.07
        assert member["charged_accuracy"] == pytest.approx(member["accuracy"] / paid)
    assert main(["front", str(run)]) == 0
    assert "goal: how far latency is above (+) or below (-) it" in " ".join(capsys.readouterr().out.split())
    html = (run / "report.html").read_text()
    kept = sum(member["over_goal"] <= 0 for member in members)
    assert f"ms on cpu, by predicted latency: {kept} of {len(members)} member" in html
    assert "against the goal" in html


def test_a_killed_search_with_goal_and_resolution_ends_with_the_same_bytes(
    with_goal: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nas.search.evaluation import Evaluation, Task

    killed, score, left = shutil.copytree(with_goal / "before", tmp_path / "killed"), Evaluation.score, 3

    def dying(self: Evaluation, task: Task) -> float:
        nonlocal left
        left -= 1
        if left < 0:
            raise KeyboardInterrupt
        return score(self, task)

    arguments = ["search", str(with_goal / "job.yaml"), "--out", str(killed)]
    with monkeypatch.context() as patch:
        patch.setattr(Evaluation, "score", dying)
        assert main(arguments) == 130
    assert main(arguments) == 0
    whole = with_goal / "run"
    for name in ("search/cpu.parquet", "search/cpu-hypervolume.parquet", "search/evaluations.csv"):
        assert (killed / name).read_bytes() == (whole / name).read_bytes()


def test_a_run_of_an_earlier_release_opens_and_goes_on(once: Once, brief: None, tmp_path: Path) -> None:
    run = shutil.copytree(once("cli-run", _finished) / "run", tmp_path / "run")
    manifest = json.loads((run / "manifest.json").read_text())
    job = manifest["job"]
    for device in job["devices"]:
        del device["goal_latency_ms"]
    for key in ("metric_resolution", "latency_resolution"):
        del job["search"][key]
    manifest["fingerprint"] = "0" * 64
    (run / "manifest.json").write_text(json.dumps(manifest))
    (run / "job.yaml").write_text(yaml.safe_dump(job))
    with RunDirectory.open(run, read_only=True) as opened:
        assert opened.job.devices[0].goal_latency_ms is None
    assert main(["front", str(run)]) == 0
    with RunDirectory.open(run) as opened:
        assert opened.step_done("search:cpu")
