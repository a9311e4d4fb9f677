"""Where errors are large: guesses that are wrong by much in one part of a space may be right in another."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
TREES = 100
LEAF = 10  # rows that say how large errors are together
FLOOR = 0.1  # of the mean error: the least that is believed


class Unevenness:
    """The size of errors as a random forest of features, for locally weighted intervals (Lei et al., 2018, section 5.2).

    Args:
        seed: of the forest.
    """

    def __init__(self, seed: int) -> None:
        from sklearn.ensemble import RandomForestRegressor  # late: it takes long to import

        self._forest = RandomForestRegressor(
            TREES, min_samples_leaf=LEAF, max_features=0.3, oob_score=True, n_jobs=1, random_state=seed
        )

    def fit(self, F: Floats, errors: Floats) -> Unevenness:
        """Learn from features (n, F) and absolute errors (n,) of rows left out; `left` says what is told of a row by the trees
        that did not see it."""
        self._mean = float(errors.mean()) or 1.0
        self._forest.fit(F, errors / self._mean)
        self.left = self._bounded(np.nan_to_num(self._forest.oob_prediction_, nan=1.0))
        return self

    def __call__(self, F: Floats) -> Floats:
        """(n,) sizes of errors, 1 on average over what was seen."""
        return self._bounded(np.asarray(self._forest.predict(F)))

    @staticmethod
    def _bounded(sizes: Floats) -> Floats:
        return np.maximum(sizes, FLOOR)
