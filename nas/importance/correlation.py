"""Spearman's rank correlation of what a model guessed of left-out scores, with its bootstrap interval."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
DRAWS = 1000  # of the bootstrap


@dataclass(frozen=True)
class Correlation:
    """Spearman's rank correlation with scores that were left out, and its 95 % bootstrap interval.

    Architectures that a search bred from one another resemble those they are left out of, which flatters it.
    """

    spearman: float
    low: float
    high: float

    @property
    def tells(self) -> bool:
        """Whether it is surely above what chance gives."""
        return self.low > 0

    @property
    def text(self) -> str:
        """'0.61 (95 % interval 0.52 to 0.69)'."""
        return f"{self.spearman:.2f} (95 % interval {self.low:.2f} to {self.high:.2f})"


def correlation(guess: Floats, truth: Floats) -> Correlation:
    """Of guesses (n,) with the truth (n,), percentile bootstrap over the pairs; 0 where either does not vary."""
    n = len(truth)
    rng = np.random.default_rng(0)
    times = np.array([np.bincount(draw, minlength=n) for draw in rng.integers(n, size=(DRAWS, n))])
    drawn = _spearman(guess, truth, times)
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Correlation(float(_spearman(guess, truth, np.ones((1, n), np.int64))[0]), float(low), float(high))


def _spearman(guess: Floats, truth: Floats, times: NDArray[np.int64]) -> Floats:
    """(d,) for every row of ``times`` (d, n): how often each pair counts."""
    a, b = _ranks(guess, times), _ranks(truth, times)
    of_both = (times * a * b).sum(axis=1)
    spread = np.sqrt((times * a**2).sum(axis=1) * (times * b**2).sum(axis=1))
    return np.where(spread > 0, of_both / np.where(spread > 0, spread, 1.0), 0.0)


def _ranks(values: Floats, times: NDArray[np.int64]) -> Floats:
    """(d, n) ranks of values (n,), the mean rank for equal ones, less the mean of all."""
    order = np.argsort(values, kind="stable")
    first = np.diff(values[order], prepend=np.nan) != 0  # of every distinct value
    which = np.empty(len(values), np.int64)
    which[order] = np.cumsum(first) - 1
    counts = np.add.reduceat(times[:, order], np.flatnonzero(first), axis=1)
    # half of the equal ones are below
    return (np.cumsum(counts, axis=1) - counts / 2)[:, which] - times.sum(axis=1, keepdims=True) / 2
