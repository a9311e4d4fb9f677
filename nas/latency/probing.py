"""Rounds of choosing probes: time them briefly, look at the table's error, choose the next ones, or stop and say why."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from nas.latency.plan import ProfilePlan
from nas.latency.probes import next_probes
from nas.latency.rig import BRIEF, Rig
from predictors import LatencyPredictor
from search_spaces import OperatorSpec, SearchSpace

ROUNDS = 3  # after the first: each one times everything again
CAREFUL = 5.0  # times as long as a brief session of the same runners, as `MeasureSettings` has it


@dataclass(frozen=True)
class Probing:
    """How the probes were chosen.

    stopped: "error" (the goal is met), "probes" (all that were allowed are used), "space" (the whole space is measured) or
    "minutes". expected: the correction's leave-one-out error on the fit networks when it was last looked at, a fraction, None
    if never. rounds, seconds: what it took, conversion included.
    """

    operators: list[OperatorSpec]
    stopped: str
    expected: float | None
    rounds: int
    seconds: float

    def record(self) -> dict[str, Any]:
        """JSON-able, without the operators."""
        return {"stopped": self.stopped, "expected": self.expected, "rounds": self.rounds, "seconds": self.seconds}


def choose_probes(
    rig: Rig, space: SearchSpace, plan: ProfilePlan, goal: float | None = None, minutes: float | None = None
) -> Probing:
    """Prepares the plan's operators and fit networks on ``rig``, then the probes that lower the expected error most.

    goal: see `measure_table`. minutes: for the whole table, with what is still to come after the probes.
    """
    began = time.monotonic()
    rig.prepare(plan.operators, [])
    operators = time.monotonic() - began
    rig.prepare([], plan.fit)
    network = (time.monotonic() - began - operators) / max(len(plan.fit), 1)
    known, expected, rounds = list(plan.operators), None, 0
    batch = -(-(plan.most - len(known)) // ROUNDS)

    def done(stopped: str) -> Probing:
        return Probing(known, stopped, expected, rounds, time.monotonic() - began)

    while len(known) < plan.most:
        brief = rig.measure(BRIEF, "try")
        rounds += 1
        table = rig.table(brief, space, known, {"fit": plan.fit})
        predictor = LatencyPredictor(space, table)
        expected = predictor.expected_error
        if goal is not None and expected <= goal:
            return done("error")
        more = batch + len(plan.validate)
        timing = brief.seconds * (1 + more / len(rig)) * (1 + CAREFUL)
        ahead = operators / len(known) * batch + network * len(plan.validate) + timing
        if minutes is not None and time.monotonic() - began + ahead > 60 * minutes:
            return done("minutes")
        chosen = next_probes(predictor.operators, plan.reference, min(batch, plan.most - len(known)))
        if not chosen:
            return done("error")  # nothing in the reference networks is left to learn
        start = time.monotonic()
        rig.prepare(chosen, [])
        operators += time.monotonic() - start
        known += chosen
    return done("space" if plan.most >= len(space.specs()) else "probes")
