"""Features on one scale, so that distances between rows mean something."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class FeatureScale:
    """Centres features like ``F`` (n, F) and divides them by their spread there.

    The first ``genes`` are one-hot: they are doubled instead, as a gene is not blown up for being rare. What has no spread
    stays.
    """

    def __init__(self, F: Floats, genes: int) -> None:
        self._centre = F.mean(axis=0)
        spread = F.std(axis=0)
        spread[:genes] = 0.5
        self._spread = np.where(spread > 0, spread, 1.0)

    def __call__(self, F: NDArray[np.floating]) -> Floats:
        """(n, F)."""
        return np.asarray((F - self._centre) / self._spread)
