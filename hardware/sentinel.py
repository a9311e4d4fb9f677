"""A fixed workload timed again and again: it shows when the machine itself became slower or faster."""

from __future__ import annotations

from collections import deque
from statistics import median
from typing import Any

from hardware.settings import MeasureSettings
from hardware.timing import Stopwatch

BASELINE_READINGS = 3
RUNNING_READINGS = 9  # a lasting change of clock becomes the new normal after five readings
READING_SECONDS = (0.01, 0.06)  # at least, unless 15 samples took longer; at most
READING_SAMPLES = 200  # at most: over a link each one is a journey there and back


class Sentinel:
    """Readings of one stopwatch against the running median of the last nine."""

    def __init__(self, watch: Stopwatch, settings: MeasureSettings) -> None:
        self.watch = watch
        self.tolerance = settings.sentinel_tolerance
        self.readings: list[float] = []
        self.dirty_batches = 0
        self.batches = 0
        self._recent: deque[float] = deque(maxlen=RUNNING_READINGS)
        self._last_drift = 0.0
        for _ in range(BASELINE_READINGS):
            self._last_drift = self._drift_of_new_reading()

    def drift_over_batch(self) -> float:
        """Read once more; the larger drift (a fraction) of the readings before and after the batch just timed."""
        before, self._last_drift = self._last_drift, self._drift_of_new_reading()
        drift = max(before, self._last_drift)
        self.batches += 1
        self.dirty_batches += drift > self.tolerance
        return drift

    def record(self) -> dict[str, Any]:
        """JSON-able: which runner, all readings in ms, how many timed batches were dirty."""
        return {
            "key": self.watch.key,
            "readings_ms": [round(seconds * 1e3, 6) for seconds in self.readings],
            "batches": self.batches,
            "dirty_batches": self.dirty_batches,
        }

    def _drift_of_new_reading(self) -> float:
        reading = self._read()
        self.readings.append(reading)
        self._recent.append(reading)
        normal = median(self._recent)
        return abs(reading / normal - 1) if normal > 0 else 0.0

    def _read(self) -> float:
        self.watch.run(1)
        least, most = READING_SECONDS
        samples: list[float] = []
        spent = 0.0
        while len(samples) < 3 or (
            spent < most and len(samples) < READING_SAMPLES and (spent < least or len(samples) < 15)
        ):
            sample = self.watch.sample()
            samples.append(sample)
            spent += sample * self.watch.calls
        return median(samples)
