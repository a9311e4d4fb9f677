"""How what was found stands to a soft latency goal, in words."""

from __future__ import annotations

from typing import Any

import numpy as np

from nas.report.contents import DeviceReport
from nas.report.words import ms, percent, plural, quality

HELP = "goal: how far latency is above (+) or below (-) it, ? where the 90 % interval holds both"


def standing(member: Any, goal_ms: float) -> str:
    """Of a front member to the goal: '+12.3 %', slower; '-5.0 %', faster; with ' ?' where its interval holds the goal."""
    doubt = " ?" if member.latency_low_ms <= goal_ms <= member.latency_high_ms else ""
    return f"{100 * (member.latency_ms / goal_ms - 1):+.1f} %{doubt}"


def goal_sentence(device: DeviceReport) -> str:
    """How many members keep the goal, the best of them, and what the slowest of the others pays; '' without a goal."""
    goal, members = device.goal_latency_ms, device.members
    if goal is None:
        return ""
    keeps = members["latency_ms"] <= goal
    start = f"Within the goal of {ms(goal)} ms on {device.name}, by predicted latency"
    told = [f"{start}: {int(keeps.sum())} of {plural(len(members), 'member')}"]
    if keeps.any():
        kept = members[keeps]
        best = kept.iloc[int(np.argmax(device.metric.oriented(kept[device.quality].to_numpy())))]
        told.append(f"the best of these has {quality(best[device.quality], device.metric)} on the search split")
    else:
        told.append(f"the fastest is {percent(members['latency_ms'].min() / goal - 1)} slower")
    charged = f"charged_{device.quality}"
    if not keeps.all() and charged in members:
        last = members.iloc[-1]
        own, judged = (quality(last[name], device.metric) for name in (device.quality, charged))
        told.append(f"the slowest is {percent(last['latency_ms'] / goal - 1)} above it: its {own} counted as {judged}")
    return "; ".join(told) + "."
