"""Soft goals: what is above one is allowed, and pays for it in quality.

Source: Tan et al., "MnasNet: platform-aware neural architecture search for mobile", 2019 (arXiv 1807.11626): the reward
quality x (latency / goal)^w. Its w is -0.07 above the goal, as there (twice the latency must bring 5 % more accuracy to pay),
and 0 within it: that less latency is better is an objective of its own here.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from nas.errors import JobError

Floats = NDArray[np.float64]

EXPONENT = 0.07


def check_goals(goals: Mapping[str, float], known: Mapping[str, object], limits: Mapping[str, float]) -> None:
    """JobError for a goal that is no positive number, is on nothing known, or is above the limit."""
    for name, goal in goals.items():
        if name not in known:
            raise JobError(f"goals: got {name!r}; legal: the known objectives {', '.join(known) or '(none)'}")
        most = limits.get(name, np.inf)
        if not 0 < goal <= most or not np.isfinite(goal):
            legal = "a positive number" + (f", at most max_{name} ({most:g})" if np.isfinite(most) else "")
            raise JobError(f"goal_{name}: got {goal:g}; legal: {legal}")


def price(known: Floats, goals: Floats) -> Floats:
    """(n,) factors, 1 where every goal is kept: (value / goal)^0.07 for what is above, multiplied over the goals.

    ``known`` (n, k) are the objectives with goals (k,), positive.
    """
    return np.asarray((np.maximum(known / goals, 1.0) ** EXPONENT).prod(axis=1))


def charge(asked: Floats, factors: Floats) -> Floats:
    """(n, a) objectives, minimised, made worse by factors (n,) of at least 1: a gain, which is negative, is divided by its
    factor, and a loss multiplied."""
    by = factors[:, None]
    return np.where(asked < 0, asked / by, asked * by)
