"""A table of architectures as a search space, and its columns as objectives."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from predictors.encoding import Features
from search_spaces.space import GENE, Choice, SearchSpace

Codes = NDArray[np.int64]
Floats = NDArray[np.float64]
CHUNK = 64  # rows whose distances to the whole table are held at once


class TableSpace(SearchSpace):
    """The architectures of a table, as rows (n, G) of codes.

    Where the table holds every combination of codes this is a space like any other. Where it holds only some, what is
    bred is moved to the nearest row of the table (by the number of genes that differ; ties at random), and the neighbours
    of a row are as many of the nearest rows as one gene could make.
    """

    def __init__(self, name: str, columns: list[str], codes: Codes) -> None:
        counts = codes.max(axis=0) + 1
        choices = [Choice(column, tuple(range(count))) for column, count in zip(columns, counts, strict=True)]
        super().__init__(name, {}, choices, ())
        self.rows = codes.astype(GENE)
        self.whole = len(codes) == int(np.prod(counts.astype(float)))
        self._strides = np.concatenate(([0], np.cumsum(counts)[:-1]))

    def place(self, X: NDArray[np.integer]) -> Codes:
        """(n,) where rows (n, G) of this space stand in its table."""
        if self.whole:
            return np.asarray(self._at[np.ravel_multi_index(tuple(X.T.astype(np.int64)), self._dimensions)])
        return np.array([self._index[row.tobytes()] for row in np.ascontiguousarray(X, GENE)], np.int64)

    @property
    def _dimensions(self) -> tuple[int, ...]:
        return tuple(int(count) for count in self.cardinalities)

    @cached_property
    def _at(self) -> Codes:
        flat = np.ravel_multi_index(tuple(self.rows.T.astype(np.int64)), self._dimensions)
        at = np.empty(len(self.rows), np.int64)
        at[flat] = np.arange(len(self.rows))
        return at

    @cached_property
    def _index(self) -> dict[bytes, int]:
        return {row.tobytes(): i for i, row in enumerate(self.rows)}

    @cached_property
    def _one_hot(self) -> NDArray[np.float32]:
        return self._coded(self.rows)

    def _coded(self, X: NDArray[np.integer]) -> NDArray[np.float32]:
        coded = np.zeros((len(X), int(self.cardinalities.sum())), np.float32)
        np.put_along_axis(coded, X.astype(np.int64) + self._strides, 1.0, axis=1)
        return coded

    def _alike(self, X: NDArray[np.integer]) -> NDArray[np.float32]:
        """(n, rows) how many genes are the same."""
        return self._coded(X) @ self._one_hot.T

    def nearest(self, X: NDArray[np.integer], rng: np.random.Generator, away: NDArray[np.integer] | None) -> np.ndarray:
        """The nearest rows of the table to ``X``, none of them the one of ``away`` in its place."""
        found = np.empty(len(X), np.int64)
        for start in range(0, len(X), CHUNK):
            part = slice(start, start + CHUNK)
            alike = self._alike(X[part]) + 0.5 * rng.random((len(X[part]), len(self.rows)), np.float32)
            if away is not None and len(self.rows) > 1:
                alike[np.arange(len(alike)), self.place(away[part])] = -1.0
            found[part] = alike.argmax(axis=1)
        return np.asarray(self.rows[found])

    def sample(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """``n`` rows of the table, uniform."""
        return np.asarray(self.rows[rng.integers(len(self.rows), size=n)])

    def mutate(self, rows: np.ndarray, rng: np.random.Generator, rate: float | None = None) -> np.ndarray:
        """See `SearchSpace.mutate`; then moved to other rows of the table."""
        children = super().mutate(rows, rng, rate)
        return children if self.whole else self.nearest(children, rng, rows)

    def crossover(self, a: np.ndarray, b: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """See `SearchSpace.crossover`; then moved to the table."""
        children = super().crossover(a, b, rng)
        return children if self.whole else self.nearest(children, rng, None)

    def neighbours(self, row: np.ndarray) -> np.ndarray:
        """See the class."""
        if self.whole:
            return super().neighbours(row)
        alike = self._alike(row[None])[0]
        alike[self.place(row[None])] = -1.0
        count = min(int((self.cardinalities - 1).sum()), len(self.rows) - 1)
        return np.asarray(self.rows[np.argsort(-alike, kind="stable")[:count]])

    def size(self) -> int:
        """Rows of the table."""
        return len(self.rows)

    def smallest(self, rows: np.ndarray) -> np.ndarray:
        """The rows as they are: codes have no sizes."""
        return rows

    largest = smallest


def table_space(name: str, columns: list[str], codes: Codes, values: Floats) -> tuple[TableSpace, Floats]:
    """The space of a table with codes (n, G), and its values (rows, v): the mean where rows share their codes, and without
    rows that lack a value."""
    good = np.isfinite(values).all(axis=1)
    frame = pd.DataFrame(codes[good])
    frame[[f"value{i}" for i in range(values.shape[1])]] = values[good]
    merged = frame.groupby(list(range(codes.shape[1])), sort=False, as_index=False).mean()
    found = merged[list(range(codes.shape[1]))].to_numpy(np.int64)
    return TableSpace(name, columns, found), merged.iloc[:, codes.shape[1] :].to_numpy(np.float64)


class TableFeatures:
    """Features of the rows of a table, each computed once; they go to other processes as numbers alone."""

    def __init__(self, features: Features, space: TableSpace) -> None:
        self._space = space
        self.columns, self.genes, self.width = features.columns, features.genes, features.width
        self.definition = features.definition
        self._all = features(space.rows.astype(np.int64))

    def __call__(self, X: NDArray[np.integer]) -> NDArray[np.float32]:
        """See `Features`."""
        return np.asarray(self._all[self._space.place(X)])
