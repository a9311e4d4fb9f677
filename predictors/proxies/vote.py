"""Where a search may begin: the architectures that zero-cost proxies rank first."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from predictors.proxies.population import ProxyScores


def mean_rank(frame: pd.DataFrame) -> NDArray[np.float64]:
    """``(n,)`` from 0 to 1: the mean over the columns of how many rows have less; what is not defined is least."""
    ranks = frame.rank(na_option="top", pct=True)
    return np.asarray(ranks.mean(axis=1), dtype=np.float64)


def warm_start(scores: ProxyScores, rows: NDArray[np.int16], count: int) -> NDArray[np.int16]:
    """The ``count`` of ``rows`` ``(n, G)`` with the highest mean rank, best first: a searcher's first candidates.

    Proxies vote as in Abdelfattah et al. 2021 (arXiv 2101.08134), by ranks instead of by majority.
    """
    order = np.argsort(-mean_rank(scores(rows)[scores.names]), kind="stable")
    return np.asarray(rows[order[:count]])
