"""Picks: knees where a front has them, and members by what they are for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nas.cli import main
from nas.errors import JobError
from nas.metric import ACCURACY, BITS_PER_BYTE
from nas.search import pareto
from nas.search.picks import Pick
from tests.nas.search import test_goals

points = st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=25).map(np.array)


@settings(deadline=None)
@given(points)
def test_knees_are_members_the_first_is_the_knee_and_units_do_not_matter(F: np.ndarray) -> None:
    found = pareto.knees(F)
    assert found[0] == pareto.knee(F)
    assert len(set(found.tolist())) == len(found)
    assert pareto.non_dominated(F)[found].all()
    twice = pareto.knees(np.column_stack((8 * F[:, 0], 0.25 * F[:, 1])))  # powers of two: exactly
    assert np.array_equal(found, twice)
    front = np.flatnonzero(pareto.non_dominated(F))
    assert np.array_equal(found, front[pareto.knees(F[front])])


@settings(deadline=None)
@given(st.floats(0.2, 5.0), st.integers(5, 60))
def test_a_convex_front_has_one_knee(power: float, members: int) -> None:
    x = np.linspace(0, 1, members)
    front = np.column_stack((x, (1 - x**power) ** (1 / power) if power < 1 else (1 - x) ** power))
    assert len(pareto.knees(front)) == 1


@pytest.mark.parametrize("bulges", [1, 2, 3])
def test_every_bulge_of_a_front_has_a_knee(bulges: int) -> None:
    """A staircase of quarter circles: its corners are its knees."""
    angle = np.linspace(0, np.pi / 2, 15)
    arcs = [
        np.column_stack((i + 1 - np.cos(angle[::-1]), bulges - i - np.sin(angle[::-1])))[1:-1] for i in range(bulges)
    ]
    ends = np.array([[0.0, bulges], [bulges, 0.0]])
    front = np.concatenate((ends, *arcs))
    found = front[pareto.knees(front)]
    assert len(found) == bulges
    corners = {tuple(np.floor(point).astype(int)) for point in found}
    assert corners == {(i, bulges - 1 - i) for i in range(bulges)}


def test_knees_need_two_objectives_and_a_point() -> None:
    with pytest.raises(ValueError, match="two objectives"):
        pareto.knees(np.zeros((3, 3)))
    with pytest.raises(ValueError, match="at least one point"):
        pareto.knees(np.zeros((0, 2)))


def front_of(F: np.ndarray, metric: Any, goal: float | None) -> pd.DataFrame:
    """The front of points (loss, latency) with their knee."""
    F = np.unique(F, axis=0)
    F = F[pareto.non_dominated(F)]
    F = F[np.argsort(F[:, 1])]
    frame = pd.DataFrame({metric.name: metric.oriented(-F[:, 0]), "latency_ms": F[:, 1]})
    frame["knee"] = np.arange(len(F)) == pareto.knee(F)
    if goal is not None:
        paid = np.maximum(F[:, 1] / goal, 1) ** 0.07
        frame[f"charged_{metric.name}"] = metric.oriented(np.where(F[:, 0] < 0, -F[:, 0] / paid, -F[:, 0] * paid))
        frame["over_goal"] = F[:, 1] / goal - 1
    return frame


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.floats(-1, -0.01), st.floats(0.1, 50)), min_size=1, max_size=15).map(np.array),
    st.sampled_from([ACCURACY, BITS_PER_BYTE]),
    st.floats(0.1, 50),
)
def test_picks_are_what_they_say(F: np.ndarray, metric: Any, level: float) -> None:
    if metric is BITS_PER_BYTE:
        F = F * (-1, 1)
    front = front_of(F, metric, level)
    picked = {name: Pick.parse(name).of(front, metric, "cpu") for name in ("knee", "knees", "fastest", "best", "goal")}
    assert all(len(rows) == 1 for name, rows in picked.items() if name != "knees")
    assert picked["knee"]["knee"].all()
    assert picked["fastest"].index[0] == front.index[0]
    assert picked["best"].index[0] == front.index[-1]
    worth = metric.oriented(front[f"charged_{metric.name}"])
    assert worth[picked["goal"].index[0]] == worth.max()
    fast = front[front["latency_ms"] <= level]
    pick = Pick.parse(f"{level!r}ms")
    if fast.empty:
        with pytest.raises(JobError, match="legal: that and more") as refused:
            pick.of(front, metric, "cpu")
        named = str(refused.value).rpartition("takes ")[2].split(" ms")[0]
        assert Pick.parse(f"{named} ms").of(front, metric, "cpu").index[0] == front.index[0]
    else:
        assert pick.of(front, metric, "cpu").index[0] == fast.index[-1]


@pytest.mark.parametrize("text", ["", "slowest", "5", "-1ms", "0ms", "ms", "5 s", "1e3ms", "nanms", "knee,best"])
def test_illegal_picks_are_refused_with_the_legal_ones(text: str) -> None:
    with pytest.raises(JobError, match=r"--pick: got .*legal: knees .*knee, fastest, best, goal.*5ms"):
        Pick.parse(text)


def test_a_goal_can_be_picked_only_where_there_is_one() -> None:
    front = front_of(np.array([[0.1, 2.0], [0.2, 1.0]]), ACCURACY, None)
    with pytest.raises(JobError, match="cpu has no goal_latency_ms"):
        Pick.parse("goal").of(front, ACCURACY, "cpu")


with_goal = test_goals.with_goal  # the same run


def test_front_and_export_take_picks(with_goal: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = str(with_goal / "run")
    capsys.readouterr()
    assert main(["front", run, "--json"]) == 0
    whole = json.loads(capsys.readouterr().out)["cpu"]
    assert main(["front", run, "--pick", "goal", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["cpu"] == [max(whole, key=lambda member: member["charged_accuracy"])]
    assert main(["front", run, "--pick", "knee"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert f"1 of {len(whole)} Pareto-optimal" in text
    assert [member["hash"] in text for member in whole] == [member["knee"] for member in whole]
    fastest = min(whole, key=lambda member: member["latency_ms"])
    assert main(["export", run, "--pick", "fastest", "--out", str(tmp_path / "package")]) == 0
    assert json.loads((tmp_path / "package" / "architecture.json").read_text()) == json.loads(fastest["genes"])


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["front", "--pick", "fast"], "--pick: got 'fast'"),
        (["front", "--pick", "0.0000001ms"], "the fastest member on cpu"),
        (["export"], "neither --hash and --pick"),
        (["export", "--hash", "a", "--pick", "knee"], "both --hash and --pick"),
        (["export", "--pick", "knees"], "may be several"),
        (["export", "--pick", "knee", "--device", "gpu"], "legal: cpu"),
    ],
)
def test_mistakes_end_with_code_2(
    with_goal: Path, command: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command[0], str(with_goal / "run"), *command[1:]]) == 2
    assert said in " ".join(capsys.readouterr().err.split())
