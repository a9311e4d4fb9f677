"""The stopwatch: one sample, warming up until stable, one slot of timing. For `measure` and `measure_paired`."""

from __future__ import annotations

import gc
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import repeat
from statistics import median

from hardware.errors import HardwareError
from hardware.settings import MeasureSettings
from hardware.statistics import relative_half_width

Clock = Callable[[], float]

MIN_SAMPLES_PER_ROUND = 5  # a slow network passes its time limit after a few calls; a median needs at least these
MAX_CALLS_PER_SAMPLE = 1000
REWARM_CALLS = 3  # another candidate ran in between and took the caches


class Stopwatch:
    """Times one runner: a call without arguments that runs once and returns when the work is done.

    A runner with a method `elapsed(calls) -> seconds` (CUDA events around queued calls) is timed by that; its attribute
    `minimum_calls`, if any, is the fewest calls in one sample.
    """

    def __init__(self, key: str, runner: Callable[[], object], clock: Clock) -> None:
        self.key = key
        self.runner = runner
        self.clock = clock
        self.calls = 1
        self.stable = False
        self._elapsed: Callable[[int], float] | None = getattr(runner, "elapsed", None)

    def run(self, calls: int) -> float:
        """Run `calls` times; seconds for all of them."""
        if self._elapsed is not None:
            return self._elapsed(calls)
        runner = self.runner
        start = self.clock()
        for _ in repeat(None, calls):
            runner()
        return self.clock() - start

    def sample(self) -> float:
        """One sample: seconds per call, over `self.calls` calls."""
        return self.run(self.calls) / self.calls

    def warm_up(self, settings: MeasureSettings) -> float:
        """Run until stable, choose the calls per sample, and return the seconds of one call when warm.

        Raises HardwareError, naming the key, when the runner fails.
        """
        try:
            first = self.run(1)
        except Exception as error:
            raise HardwareError(f"{self.key!r} failed when it was run: {type(error).__name__}: {error}") from error
        # The first call may allocate or tune for seconds, so its time does not count towards the warm-up.
        runs, spent, previous, current = 1, 0.0, math.inf, first
        while True:
            self.stable = abs(current - previous) < settings.stability * current
            enough = runs >= settings.warmup_runs and spent >= settings.warmup_seconds
            if enough and (self.stable or spent >= settings.warmup_max_seconds):
                break
            window: list[float] = []
            window_spent = 0.0
            # A window has at least three runs (a median of fewer is no median) and, for short calls, a fixed time.
            while len(window) < 3 or (window_spent < settings.window_seconds and len(window) < MAX_CALLS_PER_SAMPLE):
                window.append(self.run(1))
                window_spent += window[-1]
            runs, spent = runs + len(window), spent + window_spent
            previous, current = current, median(window)
            if spent <= 0:
                raise HardwareError(f"{self.key!r}: the clock did not move in {runs} runs; a latency is above 0 ms")
        shortest = int(getattr(self.runner, "minimum_calls", 1))
        needed = math.ceil(settings.batch_seconds / current) if current > 0 else MAX_CALLS_PER_SAMPLE
        self.calls = max(shortest, min(needed, MAX_CALLS_PER_SAMPLE), 1)
        return current

    def slot(self, settings: MeasureSettings) -> list[float]:
        """One round's samples (seconds per call), after a few untimed calls."""
        self.run(REWARM_CALLS)
        samples: list[float] = []
        spent = 0.0
        next_look = max(MIN_SAMPLES_PER_ROUND, math.ceil(settings.min_runs / settings.rounds))
        while True:
            seconds = self.run(self.calls)
            spent += seconds
            samples.append(seconds / self.calls)
            n = len(samples)
            if n < MIN_SAMPLES_PER_ROUND:
                continue
            if spent * settings.rounds >= settings.max_seconds or n * settings.rounds >= settings.max_runs:
                return samples
            if n * settings.rounds < settings.min_runs:
                continue
            if spent * settings.rounds >= settings.target_seconds:
                return samples
            if n >= next_look:
                if relative_half_width(samples) <= settings.ci_goal:
                    return samples
                next_look = n + max(n // 4, 1)  # sorting after each sample would cost more than the sample


@contextmanager
def no_garbage_collection() -> Iterator[None]:
    """Collect once, then keep the collector off: its pauses would be counted as the candidate's."""
    was_enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
