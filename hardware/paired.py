"""Which of two is faster, and by how much: A B A B, so that both see the same machine."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from hardware.errors import HardwareError
from hardware.settings import MeasureSettings
from hardware.statistics import median_interval, relative_half_width
from hardware.timing import Clock, Stopwatch, no_garbage_collection

MIN_PAIRS = 15


@dataclass(frozen=True)
class PairedMeasurement:
    """The ratio time of a / time of b, with the 95 % interval of its median over `pairs` neighbouring pairs."""

    ratio: float
    ci_low: float
    ci_high: float
    pairs: int
    a_median_ms: float
    b_median_ms: float

    def to_json(self) -> dict[str, Any]:
        """The fields as a flat dictionary."""
        return asdict(self)


def measure_paired(
    a: Callable[[], object],
    b: Callable[[], object],
    *,
    settings: MeasureSettings | None = None,
    clock: Clock = time.perf_counter,
) -> PairedMeasurement:
    """Time a and b in turn and give the median of the ratios of neighbours, which a slow drift does not move.

    At least 15 pairs, then until the interval of the ratio is within +- `settings.ci_goal` or `max_seconds` (of both
    together) or `max_runs` pairs are reached. Raises HardwareError when one fails or takes no time.
    """
    settings = settings or MeasureSettings()
    with no_garbage_collection():
        first, second = Stopwatch("a", a, clock), Stopwatch("b", b, clock)
        first.warm_up(settings)
        second.warm_up(settings)
        times: list[tuple[float, float]] = []
        spent = 0.0
        next_look = max(MIN_PAIRS, settings.min_runs)
        while True:
            pair = first.sample(), second.sample()
            if min(pair) <= 0:
                raise HardwareError(f"a sample took {min(pair)} s; a latency must be above 0")
            times.append(pair)
            spent += pair[0] * first.calls + pair[1] * second.calls
            n = len(times)
            if n < MIN_PAIRS:
                continue
            if spent >= settings.max_seconds or n >= settings.max_runs:
                break
            if n >= next_look:
                if relative_half_width([x / y for x, y in times]) <= settings.ci_goal:
                    break
                next_look = n + max(n // 4, 1)
    seconds = np.array(times)
    ratios = seconds[:, 0] / seconds[:, 1]
    low, high = median_interval(ratios)
    return PairedMeasurement(
        ratio=float(np.median(ratios)),
        ci_low=low,
        ci_high=high,
        pairs=len(times),
        a_median_ms=float(np.median(seconds[:, 0]) * 1e3),
        b_median_ms=float(np.median(seconds[:, 1]) * 1e3),
    )
