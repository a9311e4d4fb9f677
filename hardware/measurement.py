"""One candidate's timing with its error, and the list of them that one call of `measure` gives."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np

from hardware.errors import HardwareError
from hardware.statistics import least_disturbed, median_interval


@dataclass(frozen=True)
class Measurement:
    """Latency of one candidate; all times are milliseconds per call.

    `median_ms` and its 95 % confidence interval `ci_low_ms`, `ci_high_ms` are those of the least disturbed round of
    timing; all else is of the `n` samples of all rounds. A sample is the mean of `calls_per_sample` calls (more than one
    only for calls so short that reading the clock would count), so p90 and p99 are then quantiles of such means. `dirty`:
    the sentinel drifted beyond its tolerance in every round. `memory_bytes`: peak of what the runtime plans or reports for
    activations; None where it reports none. `energy_joules`: of one call, idle power included (see `energy_per_run`); None
    where the device has no counter.
    """

    key: str
    n: int
    min_ms: float
    median_ms: float
    p90_ms: float
    p99_ms: float
    mean_ms: float
    std_ms: float
    ci_low_ms: float
    ci_high_ms: float
    dirty: bool
    calls_per_sample: int = 1
    memory_bytes: int | None = None
    energy_joules: float | None = None

    @classmethod
    def from_rounds(
        cls,
        key: str,
        rounds: Sequence[Sequence[float] | np.ndarray],
        *,
        calls_per_sample: int = 1,
        dirty: bool = False,
        memory_bytes: int | None = None,
        energy_joules: float | None = None,
    ) -> Measurement:
        """Summarise rounds of samples given in seconds per call. Raises HardwareError for none, or any not positive."""
        filled = [np.asarray(samples, dtype=np.float64) * 1e3 for samples in rounds if len(samples)]
        if not filled:
            raise HardwareError(f"{key!r}: no samples")
        samples = np.concatenate(filled)
        if not np.all(np.isfinite(samples)) or samples.min() <= 0:
            raise HardwareError(f"{key!r}: a latency must be finite and above 0 ms, got {samples.min()} ms")
        calm = filled[least_disturbed(filled)]
        low, high = median_interval(calm)
        p90, p99 = np.quantile(samples, [0.9, 0.99])
        return cls(
            key=key,
            n=int(samples.size),
            min_ms=float(samples.min()),
            median_ms=float(np.median(calm)),
            p90_ms=float(p90),
            p99_ms=float(p99),
            mean_ms=float(samples.mean()),
            std_ms=float(samples.std(ddof=1)) if samples.size > 1 else 0.0,
            ci_low_ms=low,
            ci_high_ms=high,
            dirty=dirty,
            calls_per_sample=calls_per_sample,
            memory_bytes=memory_bytes,
            energy_joules=energy_joules,
        )

    def to_json(self) -> dict[str, Any]:
        """The fields as a flat dictionary."""
        return asdict(self)


MEASUREMENT_COLUMNS: tuple[str, ...] = tuple(field.name for field in fields(Measurement))


class MeasurementList(list[Measurement]):
    """The measurements in the order of the runners that were given, and what was recorded around them.

    `conditions` (JSON-able): settings, state of the machine at start and end, sentinel readings in ms, warnings.
    `noise_floor`: repeat-to-repeat error as a fraction, None with one round. `seconds`: wall-clock of the whole call.
    """

    def __init__(
        self,
        measurements: Iterable[Measurement],
        *,
        conditions: dict[str, Any],
        noise_floor: float | None,
        seconds: float,
    ) -> None:
        super().__init__(measurements)
        self.conditions = conditions
        self.noise_floor = noise_floor
        self.seconds = seconds
