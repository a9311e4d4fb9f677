"""What operators an architecture has, in blocks that a latency may depend on: as written, and as far as it is connected."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from predictors.cell_features import CellFeatures
from predictors.code_features import CodeFeatures
from predictors.encoding import Features

Floats = NDArray[np.float64]
Rows = NDArray[np.integer]
COUNTS = 3.0


class Standard:
    """Columns to mean 0 and standard deviation 1, as they had them in a reference (n, F); constant ones to 0."""

    def __init__(self, reference: Floats) -> None:
        self._mean, spread = reference.mean(axis=0), reference.std(axis=0)
        self._scale = np.where(spread > 1e-9, 1.0 / np.where(spread > 1e-9, spread, 1.0), 0.0)

    def __call__(self, values: Floats) -> Floats:
        """(n, F) scaled."""
        return np.asarray((values - self._mean) * self._scale)


def operator_columns(features: Features, X: Rows) -> list[tuple[Floats, int]]:
    """Blocks (n, F) of features of operators, each with how many of its columns are one-hot; the others count.

    A cell has three: all operators as written (some runtimes run what is not connected), those that are connected, and both.
    """
    if not isinstance(features, CellFeatures):
        return [(features(X).astype(np.float64), features.genes)]
    plain = CodeFeatures([len(features.cell.operations)] * len(features.cell.edges))
    written, live = (plain(codes).astype(np.float64) for codes in (X, features.cell.live(np.asarray(X))))
    one_hot = np.concatenate([written[:, : plain.genes], live[:, : plain.genes]], axis=1)
    both = np.concatenate([one_hot, written[:, plain.genes :], live[:, plain.genes :]], axis=1)
    return [(written, plain.genes), (live, plain.genes), (both, 2 * plain.genes)]


class OperatorBlocks:
    """Rows (n, G) -> the blocks of `operator_columns`, each scaled by a reference to about the variance of one column.

    That an operator is there at all says more of a latency than where it is: counts weigh `COUNTS` times as much.
    """

    def __init__(self, features: Features, reference: Rows) -> None:
        self._features = features
        self._scales = [Standard(block) for block, _ in operator_columns(features, reference)]

    def __call__(self, X: Rows) -> list[Floats]:
        """See the class."""
        found = []
        for scale, (block, one_hot) in zip(self._scales, operator_columns(self._features, X), strict=True):
            scaled = scale(block)
            scaled[:, one_hot:] *= COUNTS
            found.append(scaled / np.sqrt(block.shape[1]))
        return found
