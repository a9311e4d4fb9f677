"""What an objective of a cell may depend on: its graph as it is connected, or its operators as they are written.

Accuracy does not know operators that nothing comes from; a device may run them all the same, as a simulator of accelerators or
an eager runtime does, or leave out only those whose result nobody reads, as compilers do. Features of the connected graph
alone cannot tell cells apart whose latencies differ tenfold.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from predictors.cells import CELLS, Cell, Codes
from predictors.code_features import CodeFeatures
from predictors.encoding import Features


def leading(cell: Cell, X: Codes) -> Codes:
    """(n, E) codes with every edge cut from which nothing arrives at the output, whether or not anything arrives there."""
    if cell.none is None:
        return X
    there = np.not_equal(X, np.int64(cell.none))
    used = np.zeros_like(there)
    for path in cell.paths:
        for place, edge in enumerate(path):
            used[:, edge] |= there[:, path[place:]].all(axis=1)
    return np.where(used, X, cell.none)


class View(Protocol):
    """Rows (n, G) -> numbers (n, F), of which the first `genes` are one-hot."""

    @property
    def genes(self) -> int: ...

    def __call__(self, X: NDArray[Any]) -> NDArray[np.float32]: ...


class OperatorView:
    """Rows of codes (n, E) -> which operator stands where and how many there are, as written; if ``read``, once more of those
    alone that lead to the output. The first `genes` are one-hot."""

    def __init__(self, cell: Cell, read: bool) -> None:
        self.cell = cell
        self.read = read
        self._codes = CodeFeatures([len(cell.operations)] * len(cell.edges))
        self.genes = (1 + read) * self._codes.genes

    def __call__(self, X: NDArray[Any]) -> NDArray[np.float32]:
        """See the class."""
        X = np.asarray(X)
        blocks = [self._codes(X)]
        if self.read:
            blocks.append(self._codes(leading(self.cell, X)))
        one_hot = self._codes.genes
        return np.concatenate([*(block[:, :one_hot] for block in blocks), *(block[:, one_hot:] for block in blocks)], 1)


def views_of(features: Features) -> tuple[View, ...]:
    """``features`` first, and of a cell what else an objective may depend on. Genes that do nothing are told apart by no other
    features: a space has one row for all their values."""
    definition = features.definition
    if definition.get("kind") != "cell":
        return (features,)
    cell = CELLS[str(definition["name"])]
    return (features, OperatorView(cell, False), OperatorView(cell, True))
