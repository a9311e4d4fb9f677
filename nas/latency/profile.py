"""A latency table for a search space on one device: choose what to measure, measure it, judge the table."""

from __future__ import annotations

import time

from hardware.hosts import Host
from hardware.settings import MeasureSettings
from hardware.table import LatencyTable
from nas.latency.plan import ProfilePlan
from nas.latency.probing import choose_probes
from nas.latency.rig import Rig
from nas.progress import Progress
from predictors import LatencyPredictor
from search_spaces import SearchSpace


def measure_table(
    space: SearchSpace,
    runtime_name: str,
    plan: ProfilePlan,
    progress: Progress,
    *,
    host: Host | None = None,
    precision: str = "fp32",
    threads: int = 1,
    batch: int = 1,
    mode: str = "forward",
    workers: int = 1,
    settings: MeasureSettings | None = None,
    goal: float | None = None,
    minutes: float | None = None,
) -> LatencyTable:
    """Measures ``plan`` on ``host`` (this machine if none) and validates the table on the plan's held-out networks.

    Probes are chosen in rounds. A round times all there is briefly; it is the last one when the correction's error on whole
    networks, each left out in turn, is at most ``goal``, when the plan's operators are spent, or when another one would not
    be done within ``minutes``: the header's "probing" says which. Then operators and whole
    networks are timed with care in one interleaved session, under the same conditions. In the mode ``decode`` a call is one
    token with the state before the first one, for operators and networks alike.

    Raises:
        HardwareError: the runtime is not available here, or cannot run an operator.
    """
    began = time.perf_counter()
    host = host or Host()
    runtime = host.runtime(runtime_name, precision, threads)
    runtime.require()
    rig = Rig(host, runtime, progress, batch, mode, workers)
    probing = choose_probes(rig, space, plan, goal, minutes)
    rig.prepare([], plan.validate)
    measured = rig.measure(settings)
    networks = {"fit": plan.fit, "validate": plan.validate}
    table = rig.table(measured, space, probing.operators, networks).with_header(
        seconds=time.perf_counter() - began, probing=probing.record()
    )
    return table.with_header(validation=LatencyPredictor(space, table).validation)
