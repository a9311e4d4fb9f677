"""How a report shows a soft goal: in the figure, the tables, the sentences and the still picture."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nas.report.contents import DeviceReport
from nas.report.figures import front_figure
from nas.report.goal import goal_sentence, standing
from nas.report.markup import front_html
from nas.report.picture import front_png
from nas.report.separation import unseparated
from nas.report.tables import front_markdown, front_table
from tests.nas.report.conftest import SEARCHES, make_device


def with_goal(share: float) -> DeviceReport:
    """A device with a goal that this share of its front keeps, judged by what MnasNet's reward leaves."""
    plain = make_device()
    goal = float(np.quantile(plain.front["latency_ms"], share)) * (1 + 1e-9)

    def judged(frame: Any) -> Any:
        paid = np.maximum(frame["latency_ms"] / goal, 1) ** 0.07
        return frame.assign(charged_accuracy=frame["accuracy"] / paid)

    front = judged(plain.front).assign(over_goal=plain.front["latency_ms"] / goal - 1)
    return make_device(goal_latency_ms=goal, front=front, evaluations=judged(plain.evaluations))


@settings(deadline=None)
@given(st.floats(0.01, 100), st.floats(0.01, 100), st.floats(1, 3))
def test_standing_says_the_side_and_whether_it_is_sure(latency: float, goal: float, factor: float) -> None:
    member = SimpleNamespace(latency_ms=latency, latency_low_ms=latency / factor, latency_high_ms=latency * factor)
    text = standing(member, goal)
    over, sure = float(text.split()[0]), not text.endswith("?")
    assert over == pytest.approx(100 * (latency / goal - 1), abs=0.051)
    assert sure == (latency / factor > goal or latency * factor < goal)


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_every_view_marks_the_goal(share: float) -> None:
    device = with_goal(share)
    goal, members = device.goal_latency_ms, device.members
    assert goal is not None
    over = members[members["latency_ms"] > goal]
    figure = front_figure(device, SEARCHES[0])
    (marked,) = [trace for trace in figure.data if trace.name and trace.name.startswith("slower than the goal")]
    assert list(marked.x) == over["latency_ms"].tolist()
    assert any(shape.x0 == goal == shape.x1 for shape in figure.layout.shapes)
    assert any(str(note.text).startswith("goal ") for note in figure.layout.annotations)
    words = [standing(member, goal) for member in members.itertuples()]
    assert all(word in front_html(device) and word in front_markdown(device) for word in words)
    assert any("goal" in str(column.header) for column in front_table(device).columns)
    sentence = goal_sentence(device)
    assert f"{len(members) - len(over)} of {len(members)} members" in sentence
    assert ("counted as" in sentence) == (len(over) > 0)


def test_without_a_goal_nothing_is_said_of_one() -> None:
    device = make_device()
    assert goal_sentence(device) == ""
    assert "goal" not in front_html(device) + front_markdown(device)
    assert not any("goal" in str(trace.name) for trace in front_figure(device, SEARCHES[0]).data)


def test_what_pays_too_much_is_separated_from_the_front() -> None:
    """Networks that only the charge puts behind the front are behind it here too."""
    device = with_goal(0.2)
    near = unseparated(device, SEARCHES[0])
    own = device.evaluations[device.evaluations["search"] == SEARCHES[0]].drop_duplicates("hash")
    worst = near["charged_accuracy"].to_numpy()[:, None] < own["charged_accuracy"].to_numpy()[None]
    slower = near["latency_low_ms"].to_numpy()[:, None] > own["latency_high_ms"].to_numpy()[None]
    assert len(near)
    assert not (worst & slower).any()
    assert not set(near["hash"]) & set(device.front["hash"])


def test_the_still_picture_marks_the_goal(report: Any, tmp_path: Path) -> None:
    from dataclasses import replace

    plain = front_png(report, tmp_path / "plain.png").read_bytes()
    marked = replace(report, devices=(with_goal(0.5), *report.devices[1:]))
    assert front_png(marked, tmp_path / "goal.png").read_bytes() != plain
