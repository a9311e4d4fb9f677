"""What is said about a list of timings: quantiles, the interval of the median, the noise between rounds."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from scipy.special import bdtr

from hardware.errors import HardwareError


@lru_cache(maxsize=4096)
def median_ranks(n: int, confidence: float = 0.95) -> tuple[int, int]:
    """Ranks (from 0) of the two order statistics that enclose the median of `n` independent samples.

    The number of samples below the median is Binomial(n, 1/2) whatever the distribution, so the interval from the k-th
    smallest to the k-th largest sample covers the median with probability 1 - 2 P(Binomial <= k - 1); k is the largest
    for which that is at least `confidence` (David and Nagaraja, Order Statistics, section 7.1). With too few samples
    (n < 6 at 95 %) no such k exists and the whole range is given, which then covers the median less often.
    """
    if n < 1:
        raise HardwareError(f"n must be at least 1, got {n}")
    if not 0 < confidence < 1:
        raise HardwareError(f"confidence must lie between 0 and 1, got {confidence}")
    below = bdtr(np.arange(n // 2 + 1, dtype=np.float64), n, 0.5)
    k = max(int(np.searchsorted(below, (1 - confidence) / 2, side="right")), 1)
    return k - 1, n - k


def median_interval(samples: Sequence[float] | np.ndarray, confidence: float = 0.95) -> tuple[float, float]:
    """Confidence interval of the median by order statistics: (low, high) in the samples' unit.

    No distribution is assumed, but independence is: neighbouring timings are correlated, so on a drifting machine
    the interval is too narrow. That is why candidates are interleaved over rounds, and why `noise_floor` is reported.
    """
    ordered = np.sort(np.asarray(samples, dtype=np.float64))
    low, high = median_ranks(len(ordered), confidence)
    return float(ordered[low]), float(ordered[high])


def relative_half_width(samples: Sequence[float] | np.ndarray, confidence: float = 0.95) -> float:
    """Half the width of the median's interval as a fraction of the median."""
    low, high = median_interval(samples, confidence)
    return (high - low) / 2 / float(np.median(samples))


def least_disturbed(rounds: Sequence[Sequence[float] | np.ndarray]) -> int:
    """Which of the rounds has the smallest median: what else runs on a machine only ever adds to a latency, and comes in
    stretches that a round falls into or not."""
    return int(np.argmin([np.median(samples) for samples in rounds]))


def noise_floor(rounds: Sequence[Sequence[Sequence[float]]]) -> float | None:
    """Repeat-to-repeat error as a fraction: how far the medians of the least disturbed round differ between the first, third,
    fifth ... round and the others, mean over candidates.

    `rounds[candidate][round]` are samples. No predictor can be more exact than about this. None without two rounds.
    """
    errors: list[float] = []
    for candidate in rounds:
        if len(candidate) > 1:
            medians = [float(np.median(samples)) for samples in candidate]
            errors.append(abs(min(medians[::2]) / min(medians[1::2]) - 1))
    return float(np.mean(errors)) if errors else None


def interleaved_order(candidates: int, rounds: int, seed: int) -> np.ndarray:
    """The order of timing, (rounds, candidates): every row is a random permutation of 0 .. candidates - 1."""
    rng = np.random.default_rng(seed)
    return np.stack([rng.permutation(candidates) for _ in range(rounds)])
