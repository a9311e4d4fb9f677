"""How often an architecture has each operator, wherever it is, and how much of its time known devices spend in it.

A device never seen differs from known ones first in what an operator costs, and only then in where it is: with ten
measurements the first can be told, the second can not.
"""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from predictors.cell_features import CellFeatures
from predictors.code_features import CodeFeatures
from predictors.encoding import Features
from predictors.features import ArchitectureFeatures
from predictors.transfer_features import Standard, operator_columns
from search_spaces.spaces import make_space

Floats = NDArray[np.float64]
Rows = NDArray[np.integer]
PENALTY = 1.0  # of the cost of an operator at a place, in rows


class OperatorShares:
    """Rows (n, G) -> two blocks (n, K) of K operators, each of variance 1 in all over the reference: how often each operator
    is there, and how much of the time it takes.

    What an operator takes at its place is the mean over the known devices of a ridge regression of their latencies, each in
    its own mean: of what is above or below the mean of that place.

    Args:
        features: of the architectures.
        reference: (n, G) some hundreds of rows.
        known: (n, S) log latencies of known devices there.
    """

    def __init__(self, features: Features, reference: Rows, known: Floats) -> None:
        self._features = features
        kinds = operator_kinds(features)
        self._pool = np.eye(kinds.max() + 1)[kinds]
        one_hot = self._one_hot(reference)
        ms = np.exp(known - known.mean(axis=0))
        there = one_hot - one_hot.mean(axis=0)
        costs = np.linalg.solve(there.T @ there + PENALTY * np.eye(len(kinds)), there.T @ (ms / ms.mean(axis=0) - 1.0))
        self._shares = np.abs(costs).mean(axis=1)[:, None] * self._pool
        self._scale = Standard(one_hot @ self._pool)
        self._centre = (one_hot @ self._shares).mean(axis=0)
        self._sizes = [1.0, 1.0]
        self._sizes = [float(np.sqrt((block**2).sum(axis=1).mean())) or 1.0 for block in self(reference)]

    def __call__(self, X: Rows) -> list[Floats]:
        """See the class."""
        one_hot = self._one_hot(X)
        blocks = self._scale(one_hot @ self._pool), one_hot @ self._shares - self._centre
        return [block / size for block, size in zip(blocks, self._sizes, strict=True)]

    def _one_hot(self, X: Rows) -> Floats:
        columns, genes = operator_columns(self._features, X)[-1]
        return columns[:, :genes]


def operator_kinds(features: Features) -> NDArray[np.int64]:
    """(F,) which of K operators each one-hot column of the last block of `operator_columns` stands for, wherever it is.

    Columns of codes are alike if all have the same codes; genes are if their names differ in numbers only (those of stages
    and layers). Operators of a cell as written and as far as they are connected are two.
    """
    if isinstance(features, CellFeatures):
        codes = len(features.cell.operations)
        written = np.tile(np.arange(codes), len(features.cell.edges))
        return np.concatenate([written, codes + written])
    if isinstance(features, CodeFeatures) and len(set(features.cardinalities)) == 1:
        return np.tile(np.arange(features.cardinalities[0]), features.columns)
    if isinstance(features, ArchitectureFeatures):
        space = make_space(features.definition["space"])
        kinds: dict[tuple[str, object], int] = {}
        return np.array(
            [
                kinds.setdefault((re.sub(r"\d+", "*", choice.name), value), len(kinds))
                for choice in space.choices
                for value in choice.values
            ]
        )
    return np.arange(features.genes)
