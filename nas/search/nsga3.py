"""NSGA-III (Deb and Jain, 2014): as NSGA-II, with survivors spread over directions; for three objectives and more."""

from __future__ import annotations

import itertools
from functools import lru_cache
from math import comb

import numpy as np
from numpy.typing import NDArray

from nas.search import pareto
from nas.search.base import register
from nas.search.nsga2 import NSGA2
from nas.search.problem import Floats


@lru_cache
def directions(objectives: int, most: int) -> Floats:
    """(d, m) directions that cover the simplex evenly (Das and Dennis, 1998), at most ``most`` of them, at least m."""
    if objectives == 1:
        return np.ones((1, 1))
    parts = 1
    while comb(parts + objectives, objectives - 1) <= most:
        parts += 1
    bars = np.array(list(itertools.combinations(range(parts + objectives - 1), objectives - 1)), dtype=np.int64)
    ends = np.column_stack((np.full(len(bars), -1), bars, np.full(len(bars), parts + objectives - 1)))
    return (np.diff(ends, axis=1) - 1) / parts


def survivors(F: Floats, n: int) -> NDArray[np.int64]:
    """Indices of ``n`` points: whole ranks while they fit, then the points whose directions have the fewest.

    Points are scaled by the front's ideal and worst values. Within a direction the nearest come first, so the k-th of a
    direction is taken after every direction has k - 1.
    """
    rank = pareto.ranks(F)
    if len(F) <= n:
        return np.argsort(rank, kind="stable")
    low, high = F.min(axis=0), F[rank == 0].max(axis=0)
    scaled = (F - low) / np.where(high > low, high - low, 1.0)
    ways = directions(F.shape[1], n)
    ways = ways / np.linalg.norm(ways, axis=1, keepdims=True)
    along = scaled @ ways.T
    apart = np.sqrt(np.maximum((scaled**2).sum(axis=1)[:, None] - along**2, 0.0))
    niche = apart.argmin(axis=1)
    distance = apart[np.arange(len(F)), niche]
    in_niche = np.lexsort((distance, rank, niche))  # the better ranks of a niche count before the others
    starts = np.searchsorted(niche[in_niche], np.arange(len(ways)))
    turn = np.empty(len(F), dtype=np.int64)
    turn[in_niche] = np.arange(len(F)) - starts[niche[in_niche]]
    cut = np.sort(rank)[n - 1]  # the rank that does not fit whole
    return np.lexsort((distance, np.where(rank < cut, 0, turn), rank))[:n]


@register
class NSGA3(NSGA2):
    """NSGA-II with the survivors of NSGA-III."""

    name = "nsga3"
    survive = staticmethod(survivors)
