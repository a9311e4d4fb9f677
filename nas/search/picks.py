"""Picks: which members of a front somebody means who says `knee`, `best` or `5ms`."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import pandas as pd

from nas.errors import JobError
from nas.metric import Metric
from nas.search import pareto

ONE = ("knee", "fastest", "best", "goal")  # each names one member
LEGAL_ONE = "knee, fastest, best, goal (where the device has one), or a latency such as 5ms"
LEGAL = f"knees (all that the front has), {LEGAL_ONE}"
_LATENCY = re.compile(r"(\d+(?:\.\d*)?|\.\d+)\s*ms")


@dataclass(frozen=True)
class Pick:
    """A rule that picks members of a device's front.

    Attributes:
        name: ``knee``: the best trade between quality and latency (`nas.search.pareto.knee`); ``knees``: that and others, where
            the front has several (`nas.search.pareto.knees`); ``fastest``; ``best``: of the highest quality; ``goal``: of the
            highest quality after what latency above the goal costs, which is MnasNet's reward (`nas.search.goals`);
            ``latency``: the best that takes at most ``latency_ms`` as predicted.
        latency_ms: of ``latency``.
    """

    name: str
    latency_ms: float | None = None

    @classmethod
    def parse(cls, text: str) -> Pick:
        """From what stands on the command line. JobError names the legal picks."""
        if text in (*ONE, "knees"):
            return cls(text)
        match = _LATENCY.fullmatch(text.strip())
        if match is None or not float(match[1]) > 0:
            raise JobError(f"--pick: got {text!r}; legal: {LEGAL}")
        return cls("latency", float(match[1]))

    @property
    def single(self) -> bool:
        """Whether it is one member at most."""
        return self.name != "knees"

    def of(self, front: pd.DataFrame, metric: Metric, device: str) -> pd.DataFrame:
        """The rows picked of a front (`nas.search.front.front_frame`). Quality is that on the search split: picking by the test
        split would be selection on it.

        JobError where no member is meant: none is fast enough, or the device has no goal.
        """
        return front.iloc[self._places(front, metric, device)]

    def _places(self, front: pd.DataFrame, metric: Metric, device: str) -> list[int]:
        latency = front["latency_ms"].to_numpy()
        loss = -metric.oriented(front[metric.name].to_numpy())
        charged = f"charged_{metric.name}"
        judged = -metric.oriented(front[charged].to_numpy()) if charged in front else loss
        if self.name == "knee":
            return [int(np.flatnonzero(front["knee"])[0])]
        if self.name == "knees":
            return [int(i) for i in pareto.knees(np.column_stack((1 + judged, latency)))]
        if self.name == "fastest":
            return [int(np.argmin(latency))]
        if self.name == "best":
            return [int(np.lexsort((latency, loss))[0])]
        if self.name == "goal":
            if "over_goal" not in front:
                raise JobError(f"--pick: goal, but {device} has no goal_latency_ms; legal: {LEGAL}")
            return [int(np.lexsort((latency, judged))[0])]
        assert self.latency_ms is not None
        fast = np.flatnonzero(latency <= self.latency_ms)
        if len(fast) == 0:
            raise JobError(
                f"--pick: got {self.latency_ms:g}ms, but the fastest member on {device} takes {_up(latency.min())} ms; "
                "legal: that and more"
            )
        return [int(fast[np.lexsort((latency[fast], loss[fast]))[0]])]


def _up(value: float) -> str:
    """Four digits of a positive number, none of them rounded down: a limit that it meets."""
    step = 10.0 ** (np.floor(np.log10(value)) - 3)
    text = f"{np.ceil(value / step) * step:.4g}"
    return text if float(text) >= value else repr(float(value))
