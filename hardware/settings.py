"""How long and how carefully to time."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from hardware.errors import HardwareError


@dataclass(frozen=True)
class MeasureSettings:
    """Settings of `measure` and `measure_paired`. Seconds and runs are per candidate and over all rounds together.

    Warm-up lasts at least `warmup_runs` calls and `warmup_seconds`, until the medians of two successive windows of
    `window_seconds` differ by less than `stability`, at most `warmup_max_seconds`.

    Timing of a candidate ends once there are `min_runs` samples and either the 95 % interval of the median is within
    +- `ci_goal` or `target_seconds` have been timed; always at `max_seconds` or `max_runs`.

    A sample shorter than `batch_seconds` is timed over several calls. The sentinel is timed every `sentinel_every`
    candidates; a batch around which it drifts by more than `sentinel_tolerance` is run again, `max_reruns` times at
    most.
    """

    warmup_runs: int = 10
    warmup_seconds: float = 0.03
    warmup_max_seconds: float = 0.12
    window_seconds: float = 0.01
    stability: float = 0.01
    rounds: int = 6
    min_runs: int = 150
    max_runs: int = 30_000
    target_seconds: float = 0.15
    max_seconds: float = 0.6
    ci_goal: float = 0.01
    batch_seconds: float = 50e-6
    sentinel_every: int = 8
    sentinel_tolerance: float = 0.03
    max_reruns: int = 2
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("warmup_runs", "rounds", "min_runs", "sentinel_every"):
            if getattr(self, name) < 1:
                raise HardwareError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name in ("warmup_seconds", "window_seconds", "target_seconds", "batch_seconds", "max_reruns", "seed"):
            if getattr(self, name) < 0:
                raise HardwareError(f"{name} must not be negative, got {getattr(self, name)}")
        for name in ("stability", "ci_goal", "sentinel_tolerance"):
            if not 0 < getattr(self, name) < 1:
                raise HardwareError(f"{name} is a fraction between 0 and 1, got {getattr(self, name)}")
        for low, high in (
            ("warmup_seconds", "warmup_max_seconds"),
            ("target_seconds", "max_seconds"),
            ("min_runs", "max_runs"),
        ):
            if getattr(self, high) < getattr(self, low):
                raise HardwareError(f"{high} ({getattr(self, high)}) must not be below {low} ({getattr(self, low)})")

    @classmethod
    def quick(cls) -> MeasureSettings:
        """For trials and tests: two short rounds, about 0.02 s to 0.06 s per operator."""
        return cls(
            warmup_seconds=0.005,
            warmup_max_seconds=0.02,
            window_seconds=0.003,
            rounds=2,
            min_runs=30,
            target_seconds=0.03,
            max_seconds=0.15,
            max_reruns=0,
        )

    @classmethod
    def thorough(cls) -> MeasureSettings:
        """For published tables on a machine of one's own: 0.5 s of warm-up, 1 s to 10 s of timing in eight rounds."""
        return cls(
            warmup_seconds=0.5,
            warmup_max_seconds=2.0,
            window_seconds=0.05,
            rounds=8,
            min_runs=500,
            max_runs=200_000,
            target_seconds=1.0,
            max_seconds=10.0,
            max_reruns=4,
        )

    def to_json(self) -> dict[str, Any]:
        """The fields as a flat dictionary."""
        return asdict(self)
