"""Cells of tabular benchmarks: a directed graph whose every edge has one of a few operations."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from search_spaces.spaces.nas_bench_201 import EDGES, OPERATIONS

Codes = NDArray[np.int64]


@dataclass(frozen=True)
class Cell:
    """A cell: points 0 (input) to the last (output), joined by edges; a row of codes (E,) says the operation of each.

    macs: relative work of each operation. none, skip: codes of the operation that cuts an edge, and of the one that does
    nothing; None where there is no such operation.
    """

    name: str
    edges: tuple[tuple[int, int], ...]
    operations: tuple[str, ...]
    macs: tuple[float, ...]
    none: int | None = 0
    skip: int | None = 1

    @cached_property
    def paths(self) -> tuple[tuple[int, ...], ...]:
        """Every way from input to output, as edges in order."""
        last = max(b for _, b in self.edges)

        def ways(point: int) -> list[tuple[int, ...]]:
            if point == last:
                return [()]
            return [(i, *way) for i, (a, b) in enumerate(self.edges) if a == point for way in ways(b)]

        return tuple(ways(0))

    def live(self, X: Codes) -> Codes:
        """(n, E) codes with every edge that no whole path uses cut, as nothing that it computes is seen outside."""
        if self.none is None:
            return X
        whole = self._there(X)
        used = np.zeros_like(whole)
        for path in self.paths:
            used[:, path] |= np.atleast_1d(whole[:, path].all(axis=1))[:, None]
        return np.where(used, X, self.none)

    def connected(self, X: Codes) -> NDArray[np.bool_]:
        """(n,) whether anything of the input arrives at the output."""
        return np.atleast_1d(self._there(self.live(X)).any(axis=1))

    def _there(self, X: Codes) -> NDArray[np.bool_]:
        return np.ones(X.shape, bool) if self.none is None else np.not_equal(X, np.int64(self.none))


CELLS = {
    "nas-bench-201": Cell("nas-bench-201", EDGES, OPERATIONS, (0, 0, 1, 9, 0)),
    "transnas-micro": Cell("transnas-micro", EDGES, OPERATIONS[:4], (0, 0, 1, 9)),
}
