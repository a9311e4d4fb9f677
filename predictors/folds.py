"""Parts of rows that are left out in turn."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def group_folds(groups: NDArray[Any], folds: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """(n,) fold of each row, of at most ``folds``: no group (n,) is in two of them. Groups in random order, each to the fold
    that has fewest rows so far."""
    names, number, counts = np.unique(groups, return_inverse=True, return_counts=True)
    size, where = np.zeros(min(folds, len(names)), np.int64), np.zeros(len(names), np.int64)
    for group in rng.permutation(len(names)):
        where[group] = size.argmin()
        size[where[group]] += counts[group]
    return where[number]
