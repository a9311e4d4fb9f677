"""What choices take on a device, each with its error: from predicted latencies of many networks, and how far these may be off.

A latency predictor is off in its own way for every operator, and the networks that share an operator share that error: over
however many networks it is averaged, it stays. So all of the predictor's error is taken to belong to the choices, spread over
them as an `ImportanceModel` expects a score to be before it sees any: a part to single places, one to those alike in a stage,
one to all alike. That is too much where networks are off by something of their own, which averages out, and too little where
an operator is off by the same everywhere and nothing else is (eight of ten 90 % intervals hold then).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from predictors.ceiling import COVERED
from predictors.importance import ImportanceModel
from predictors.latency import LatencyPrediction
from search_spaces.space import SearchSpace

Floats = NDArray[np.float64]


class ChoiceLatency:
    """Latency as a sum over the terms of an `ImportanceModel`.

    Args:
        space: of the networks.
        X: canonical rows (n, G), n >= 2, drawn from all of it.
        found: their predicted latencies, (n,).

    Attributes:
        mean_ms: of the networks. off_ms: standard deviation of a prediction around the truth (root mean square); nan where the
            predictor does not know it.

    Raises:
        PredictorError: these are no rows of the space, or not as many latencies.
    """

    def __init__(self, space: SearchSpace, X: NDArray[np.integer], found: LatencyPrediction) -> None:
        ms = np.asarray(found.mean_ms, dtype=np.float64)
        self._model = ImportanceModel(space).fit(X, ms)
        self.mean_ms = float(ms.mean())
        half = (np.asarray(found.high_ms) - np.asarray(found.low_ms)) / 2
        self.off_ms = float(np.sqrt(((half / COVERED) ** 2).mean()))

    def sums(self, shares: Floats) -> tuple[Floats, Floats]:
        """Values (k,) in ms of sums of the terms, so much of each: shares (k, T); and their standard errors (k,), nan where
        the predictor does not know its own.

        An error is that of the predictor, and that of the fit: so many networks, and a sum over terms where the predictor may
        have none.
        """
        value, fit = self._model.sums(shares)
        return value, np.hypot(fit, self.off_ms * self._model.spread_of_sums(shares))
