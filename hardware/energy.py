"""Energy of one run, by this machine's own counter; absent where there is none."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import stdev

from hardware.energy_counters import EnergyCounter, energy_counter
from hardware.errors import HardwareError
from hardware.timing import Clock, Stopwatch

WINDOWS = 10  # the spread is that between them

__all__ = ["EnergyCounter", "RunEnergy", "energy_counter", "energy_per_run"]


@dataclass(frozen=True)
class RunEnergy:
    """Joules of one run. All that the counter counts is in it, idle power too: nothing is subtracted.

    joules: a run, the mean over all runs. spread: standard deviation of that between the windows. idle_watts: power before
    the runs, with nothing running. watts: power during them. counter: what was counted. runs, seconds: of all windows.
    """

    joules: float
    spread: float
    idle_watts: float
    watts: float
    counter: str
    runs: int
    seconds: float


def energy_per_run(
    runner: Callable[[], object],
    seconds: float,
    counter: EnergyCounter | None,
    clock: Clock = time.perf_counter,
    sleep: Callable[[float], None] = time.sleep,
) -> RunEnergy | None:
    """Run for about `seconds`, in ten windows, after a tenth of it idle; None without a counter that keeps pace.

    A counter that stands still over a window (a battery's gauge, over short ones) has steps that are longer than the
    window, and no spread can be told: ask for more seconds. counter: see `energy_counter`. clock: seconds, monotonic.
    Raises HardwareError for seconds not above zero, a runner that fails, or a counter that can no longer be read.
    """
    if not seconds > 0:
        raise HardwareError(f"seconds must be above 0, got {seconds}")
    if counter is None:
        return None
    window = seconds / WINDOWS
    watch = Stopwatch("energy", runner, clock)
    calls = int(getattr(runner, "minimum_calls", 1))
    watch.run(calls)  # what the first run sets up is not the energy of a run

    began, before = clock(), counter.joules()
    sleep(window)
    idle_watts = (counter.joules() - before) / (clock() - began)

    used: list[float] = []
    spent: list[float] = []
    runs: list[int] = []
    for _ in range(WINDOWS):
        began, before, count = clock(), counter.joules(), 0
        while not count or clock() - began < window:
            watch.run(calls)
            count += calls
        used.append(counter.joules() - before)
        spent.append(clock() - began)
        runs.append(count)
    if min(used) <= 0:
        return None
    return RunEnergy(
        joules=sum(used) / sum(runs),
        spread=stdev(joules / count for joules, count in zip(used, runs, strict=True)),
        idle_watts=idle_watts,
        watts=sum(used) / sum(spent),
        counter=counter.name,
        runs=sum(runs),
        seconds=sum(spent),
    )
