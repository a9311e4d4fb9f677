"""Timing many candidates fairly: warm, interleaved, watched by a sentinel, with an interval for every median.

What is timed is host to host: one call of a prepared runner, its buffers already in place (a CUDA runner is timed by
events around queued calls). Caches are warm. The rules follow what MLPerf, trtexec and
TFLite's benchmark_model have in common.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from hardware.device import conditions
from hardware.energy import EnergyCounter, energy_per_run
from hardware.errors import HardwareError
from hardware.measurement import Measurement, MeasurementList
from hardware.sentinel import Sentinel
from hardware.settings import MeasureSettings
from hardware.statistics import interleaved_order, noise_floor
from hardware.timing import Clock, Stopwatch, no_garbage_collection

Runner = Callable[[], object]
ENERGY_SECONDS = 0.3  # a candidate: ten windows of many steps of a processor's counter (1 ms)


def measure(
    runners: Mapping[str, Runner],
    *,
    settings: MeasureSettings | None = None,
    sentinel: Runner | None = None,
    progress: Callable[[int, int], None] | None = None,
    threads: int = 1,
    state: Callable[[int], dict[str, Any]] = conditions,
    energy: EnergyCounter | None = None,
    clock: Clock = time.perf_counter,
) -> MeasurementList:
    """Time every runner; one Measurement a runner, in the order given.

    Each round times all candidates once, in a random order of its own (seeded), so that a drift of the machine does not
    fall on one of them. Every `sentinel_every` candidates the sentinel is timed again: if it left the running median of
    its readings by more than the tolerance, that batch is run again; a batch that stays dirty after `max_reruns` is
    left out for candidates with a clean round, and marks the others `dirty`. Samples are never trimmed by value; the
    median is that of the least disturbed round (see `Measurement`).

    runners: key -> call without arguments that runs once. sentinel: a fixed runner of its own; without one, the
    candidate whose warm time is the middle one serves. progress: called with (slots done, slots in all). threads: how
    many threads the runners use, for the check of the machine's load. state: threads -> the state of the machine that is
    timed, read before and after. energy: a counter of what the runners use; each is then run for `ENERGY_SECONDS` more, after
    all timing. clock: seconds, monotonic.
    Raises HardwareError for no runners, a runner that fails, or times that are not above zero.
    """
    if not runners:
        raise HardwareError("runners is empty; at least one candidate is needed")
    settings = settings or MeasureSettings()
    began = time.monotonic()
    before = state(threads)
    watches = [Stopwatch(key, runner, clock) for key, runner in runners.items()]
    total, done = len(watches) * (settings.rounds + 1), 0

    def step() -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(done, total)

    with no_garbage_collection():
        warm_seconds = []
        for watch in watches:
            warm_seconds.append(watch.warm_up(settings))
            step()
        guard = Sentinel(_sentinel_watch(sentinel, watches, warm_seconds, clock, settings), settings)
        rounds: list[list[_Slot]] = [[] for _ in watches]
        for order in interleaved_order(len(watches), settings.rounds, settings.seed):
            for start in range(0, len(order), settings.sentinel_every):
                batch = [int(i) for i in order[start : start + settings.sentinel_every]]
                for i, slot in _time_batch(watches, batch, guard, settings).items():
                    rounds[i].append(slot)
                    step()

    measurements = [_summarise(watch, slots, energy) for watch, slots in zip(watches, rounds, strict=True)]
    after = state(threads)
    record: dict[str, Any] = {
        "settings": settings.to_json(),
        "start": before,
        "end": after,
        "sentinel": guard.record(),
        "unstable_warm_ups": sum(not watch.stable for watch in watches),
        "dirty": sum(m.dirty for m in measurements),
        "energy_counter": None if energy is None else energy.name,
        "warnings": list(dict.fromkeys(before["warnings"] + after["warnings"])),
    }
    return MeasurementList(
        measurements,
        conditions=record,
        noise_floor=noise_floor([[slot.samples for slot in slots] for slots in rounds]),
        seconds=time.monotonic() - began,
    )


class _Slot:
    """One candidate's samples of one round, and whether the sentinel drifted around them."""

    def __init__(self, samples: list[float], clean: bool) -> None:
        self.samples = samples
        self.clean = clean


def _sentinel_watch(
    sentinel: Runner | None,
    watches: list[Stopwatch],
    warm_seconds: list[float],
    clock: Clock,
    settings: MeasureSettings,
) -> Stopwatch:
    if sentinel is None:
        # A very short call is a restless sentinel and a long one a dear one: take the middle.
        middle = int(np.argsort(warm_seconds, kind="stable")[len(watches) // 2])
        return watches[middle]
    watch = Stopwatch("sentinel", sentinel, clock)
    watch.warm_up(settings)
    return watch


def _time_batch(
    watches: list[Stopwatch], batch: list[int], guard: Sentinel, settings: MeasureSettings
) -> dict[int, _Slot]:
    """Time a batch of candidates, again while it is dirty; the attempt with the least drift is kept."""
    best: dict[int, _Slot] = {}
    least = float("inf")
    for _ in range(settings.max_reruns + 1):
        samples = {i: watches[i].slot(settings) for i in batch}
        drift = guard.drift_over_batch()
        clean = drift <= settings.sentinel_tolerance
        if drift < least:
            least, best = drift, {i: _Slot(samples[i], clean) for i in batch}
        if clean:
            break
    return best


def _summarise(watch: Stopwatch, slots: list[_Slot], energy: EnergyCounter | None) -> Measurement:
    clean = [slot for slot in slots if slot.clean]
    memory = getattr(watch.runner, "memory_bytes", None)  # asked after the timing: it may take a while
    used = energy_per_run(watch.runner, ENERGY_SECONDS, energy)
    return Measurement.from_rounds(
        watch.key,
        [slot.samples for slot in clean or slots],
        calls_per_sample=watch.calls,
        dirty=not clean,
        memory_bytes=None if memory is None else memory(),
        energy_joules=None if used is None else used.joules,
    )
