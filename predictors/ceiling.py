"""Scores seen from a ceiling that nothing reaches: the difference between good ones counts as much as that between bad."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
ABOVE = 3.0  # usually
COVERED = 1.645  # standard deviations on either side that hold 90 % of a normal distribution


class Ceiling:
    """Minus the logarithm of the distance to a ceiling, fitted to scores (n,) of which larger ones are better.

    Accuracies crowd below their best, with a long tail of bad ones: in these terms they are spread more evenly, whatever the
    metric is and wherever its true ceiling lies.

    Args:
        above: interquartile ranges between the best score seen and the ceiling: the fewer, the more the best ones count.
    """

    def __init__(self, y: Floats, above: float = ABOVE) -> None:
        low, high = np.quantile(y, [0.25, 0.75])
        self._scale = float(high - low) or float(np.std(y)) or 1.0
        self._top = float(np.max(y)) + above * self._scale

    def forward(self, y: Floats) -> Floats:
        """(n,) in terms of the ceiling; scores must be below it."""
        return np.asarray(-np.log((self._top - y) / self._scale))

    def back(self, t: Floats) -> Floats:
        """(n,) scores."""
        return np.asarray(self._top - self._scale * np.exp(-t))

    def spread_back(self, t: Floats, spread: Floats) -> Floats:
        """(n,) standard deviations of scores: as wide as the interval that holds 90 % between t - and t + 1.645 spread."""
        return (self.back(t + COVERED * spread) - self.back(t - COVERED * spread)) / (2 * COVERED)

    def rise(self, t: Floats, spread: Floats) -> Floats:
        """(n,) the same of their better halves alone, from t to t + 1.645 spread."""
        return (self.back(t + COVERED * spread) - self.back(t)) / COVERED
