"""`measure` on a clock we own, where the truth is known, and on real work."""

import gc
import math
import time
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest

from hardware import HardwareError, Measurement, MeasureSettings, measure, measure_paired


class Clock:
    """A clock that only the work moves; `speed` is the factor by which the machine is slow at that time."""

    def __init__(self, speed: Callable[[float], float] = lambda now: 1.0) -> None:
        self.now = 0.0
        self.speed = speed
        self.calls: list[str] = []

    def __call__(self) -> float:
        return self.now

    def work(self, key: str, seconds: float) -> Callable[[], object]:
        def run() -> None:
            self.calls.append(key)
            self.now += seconds * self.speed(self.now)

        return run


def test_known_durations_come_back_in_the_order_given() -> None:
    clock = Clock()
    truth = {"slow": 4e-3, "fast": 2e-5, "middle": 1e-3}
    result = measure({key: clock.work(key, s) for key, s in truth.items()}, clock=clock)
    assert [m.key for m in result] == list(truth)
    for m in result:
        assert m.median_ms == pytest.approx(truth[m.key] * 1e3)
        assert m.ci_low_ms == pytest.approx(m.ci_high_ms)
        assert not m.dirty
    assert result[1].calls_per_sample == 3  # 20 us: three calls make a sample of at least 50 us
    assert result[0].calls_per_sample == 1
    assert result.noise_floor == pytest.approx(0, abs=1e-9)
    assert result.conditions["sentinel"]["key"] == "middle"


def test_candidates_are_interleaved_in_every_round() -> None:
    clock = Clock()
    keys = [f"c{i}" for i in range(6)]
    settings = MeasureSettings(rounds=4, sentinel_every=100)
    work = {key: clock.work(key, 1e-3) for key in keys}
    measure(work, sentinel=clock.work("s", 1e-3), settings=settings, clock=clock)
    runs = [key for i, key in enumerate(clock.calls) if i == 0 or clock.calls[i - 1] != key]
    slots = [key for key in runs[runs.index("s") + 1 :] if key != "s"]
    rounds = [slots[i : i + 6] for i in range(0, len(slots), 6)]
    assert len(rounds) == 4
    assert all(sorted(row) == keys for row in rounds)
    assert len({tuple(row) for row in rounds}) > 1


def test_a_passing_slow_phase_is_found_and_run_again() -> None:
    clock = Clock()
    work = {f"c{i}": clock.work(f"c{i}", 1e-3) for i in range(8)}
    settings = MeasureSettings(sentinel_every=2)
    calm = measure(work, settings=settings, clock=clock)
    assert calm.conditions["sentinel"]["dirty_batches"] == 0

    middle = clock.now * 0.5
    slow = Clock(lambda now: 1.5 if middle < now < middle * 1.15 else 1.0)
    work = {f"c{i}": slow.work(f"c{i}", 1e-3) for i in range(8)}
    result = measure(work, settings=settings, clock=slow)
    assert result.conditions["sentinel"]["dirty_batches"] > 0
    assert not any(m.dirty for m in result)
    assert all(m.median_ms == pytest.approx(1.0) for m in result)


def test_a_machine_that_never_calms_down_is_marked_and_ends() -> None:
    # Every look at the machine finds another speed, from 1x to 4x.
    clock = Clock(lambda now: 2.5 + 1.5 * math.sin(now * 37))
    work = {f"c{i}": clock.work(f"c{i}", 1e-3) for i in range(4)}
    settings = MeasureSettings(sentinel_every=2, max_reruns=1)
    result = measure(work, settings=settings, clock=clock)
    sentinel = result.conditions["sentinel"]
    assert sentinel["dirty_batches"] > 0
    assert sentinel["batches"] <= 2 * settings.rounds * 2  # two batches a round, each run at most twice
    assert result.noise_floor is not None
    assert result.noise_floor > 0.01


def test_slow_work_stops_at_the_limit_with_enough_samples() -> None:
    clock = Clock()
    settings = MeasureSettings(rounds=3, max_seconds=0.6)
    (m,) = measure({"slow": clock.work("slow", 0.5)}, settings=settings, clock=clock)
    assert m.n == 15
    assert clock.now < 75 * 0.5  # warm-up 13 runs, three slots of 8, six readings of 4 at most


def test_outliers_are_kept() -> None:
    clock = Clock()
    turn = iter(range(10**9))

    def run() -> None:
        clock.now += 5e-3 if next(turn) % 20 == 0 else 1e-3

    (m,) = measure({"x": run}, clock=clock)
    assert m.median_ms == pytest.approx(1)
    assert m.p99_ms == pytest.approx(5)
    assert m.mean_ms > 1.1


def test_a_neighbour_who_comes_and_goes_changes_no_median() -> None:
    """Half of the time something else runs and everything takes 1.5 times as long, in stretches of a second."""
    clock = Clock(lambda now: 1.5 if int(now) % 2 else 1.0)
    runners = {str(i): clock.work(str(i), i * 1e-3) for i in range(1, 9)}
    result = measure(runners, settings=MeasureSettings(max_reruns=0), clock=clock)
    assert [m.median_ms for m in result] == pytest.approx(range(1, 9), rel=0.02)
    assert max(m.p99_ms / m.median_ms for m in result) > 1.4  # and nothing is hidden


def test_real_work_gives_ordered_figures_and_a_record() -> None:
    data = np.random.default_rng(0).random(200_000)
    progress: list[tuple[int, int]] = []
    result = measure(
        {"once": lambda: np.sort(data), "twice": lambda: (np.sort(data), np.sort(data))},
        settings=MeasureSettings.quick(),
        progress=lambda done, total: progress.append((done, total)),
    )
    assert result[1].min_ms > result[0].min_ms  # twice the work; the smallest time is the one that load hardly moves
    assert progress == [(i, 6) for i in range(1, 7)]
    for m in result:
        assert 0 < m.min_ms <= m.ci_low_ms <= m.median_ms <= m.ci_high_ms
        assert m.median_ms <= m.p90_ms <= m.p99_ms
    assert {"settings", "start", "end", "sentinel", "warnings"} <= set(result.conditions)
    assert result.conditions["settings"]["rounds"] == 2


def test_the_garbage_collector_is_off_while_timing_and_on_again() -> None:
    seen: list[bool] = []
    measure({"x": lambda: (seen.append(gc.isenabled()), time.sleep(1e-4))}, settings=MeasureSettings.quick())
    assert not any(seen)
    assert gc.isenabled()
    with pytest.raises(HardwareError, match="'bad' failed when it was run: ZeroDivisionError"):
        measure({"bad": lambda: 1 / 0})
    assert gc.isenabled()


def test_a_runner_with_its_own_stopwatch_is_timed_by_it() -> None:
    class Queued:
        minimum_calls = 10

        def __call__(self) -> None:
            raise AssertionError("must be timed by elapsed")

        def elapsed(self, calls: int) -> float:
            return calls * 7e-6

    (m,) = measure({"gpu": Queued()}, settings=MeasureSettings.quick())
    assert m.median_ms == pytest.approx(7e-3)
    assert m.calls_per_sample == 10


def test_bad_input_is_refused() -> None:
    with pytest.raises(HardwareError, match="runners is empty"):
        measure({})
    with pytest.raises(HardwareError, match="'still': the clock did not move"):
        measure({"still": lambda: None}, clock=lambda: 1.0)
    with pytest.raises(HardwareError, match="above 0"):
        Measurement.from_rounds("x", [[1.0, 0.0]])


@pytest.mark.parametrize(
    ("name", "value"),
    [("rounds", 0), ("ci_goal", 0.0), ("sentinel_tolerance", 3), ("max_seconds", 0.001), ("max_reruns", -1)],
)
def test_settings_are_checked(name: str, value: float) -> None:
    with pytest.raises(HardwareError, match=name):
        MeasureSettings(**{name: value})  # type: ignore[arg-type]


def test_a_paired_ratio_does_not_feel_the_drift() -> None:
    clock = Clock(lambda now: 1 + now)  # ever slower
    result = measure_paired(clock.work("a", 1.2e-3), clock.work("b", 1e-3), clock=clock)
    assert result.ratio == pytest.approx(1.2, rel=0.01)
    assert result.ci_low <= result.ratio <= result.ci_high
    paired = clock.calls[-20:]
    assert all(x != y for x, y in pairwise(paired))


def test_a_paired_ratio_of_real_work() -> None:
    data = np.random.default_rng(0).random(50_000)
    # processor time: whatever else runs here, twice the work is twice the time
    result = measure_paired(lambda: (np.sort(data), np.sort(data)), lambda: np.sort(data), clock=time.thread_time)
    assert 1.6 < result.ratio < 2.5
    assert result.pairs >= 15
