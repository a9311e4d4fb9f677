"""A real small space with an accuracy and a latency that are known sums over its operator specs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from nas.search import Problem
from predictors.features import work
from search_spaces.space import SearchSpace
from search_spaces.spaces import make_space


@dataclass(frozen=True)
class Known:
    """A space with cheap ground truth."""

    space: SearchSpace
    accuracy: Callable[[np.ndarray], np.ndarray]
    latency: Callable[[np.ndarray], np.ndarray]


def problem_of(known: Known, limit: float | None = None, **changes: Any) -> Problem:
    """Its accuracy asked, its latency known and limited."""
    limits = {} if limit is None else {"latency_ms": limit}
    arguments = {"evaluations": 10, "population": 5, "limits": limits} | changes
    return Problem(known.space, known={"latency_ms": known.latency}, **arguments)


@pytest.fixture(scope="session")
def known() -> Known:
    """hybrid-vision/tiny on 8 and 12 pixels: more MACs and better-liked operators help accuracy, all MACs cost time."""
    space = make_space(
        {"name": "hybrid-vision", "preset": "tiny", "resolutions": [8, 12], "in_channels": 1, "classes": 10}
    )
    rng = np.random.default_rng(5)
    liking = {name: rng.normal() for name in sorted({spec.name for spec in space.specs()})}
    score = space.additive(lambda spec: liking[spec.name] + 0.25 * np.log1p(work(spec)[0]))
    slow = ("mhsa", "ssd")
    cost = space.additive(lambda spec: 0.01 + (2.0 if spec.name in slow else 1.0) * work(spec)[0] / 1e6)
    reference = score.score(space.sample(1000, rng))
    middle, spread = reference.mean(), reference.std()
    return Known(space, lambda X: 1.0 / (1.0 + np.exp(-(score.score(X) - middle) / spread)), cost.score)


@pytest.fixture(scope="session")
def few(known: Known) -> SearchSpace:
    """The same space with everything fixed but one mixer and the resolution: a handful of architectures."""
    allowed = {choice.name: [choice.values[0]] for choice in known.space.choices}
    allowed["resolution"] = [8, 12]
    allowed["stage1.layer1.mixer"] = ["mbconv", "mhsa", "identity"]
    allowed["stage1.layer1.mbconv.kernel"] = [3, 5]
    return known.space.restrict(allowed)
