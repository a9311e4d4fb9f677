"""Features of a cell's graph, after what is not connected is taken away.

As in GRAF (Kadlecova et al., ICML 2024, arXiv 2404.16551): for every set of operations the number, the shortest and the
longest of the paths that use only these, and the degrees of the points by edges of these. Beside it what runs along the
paths: how often each operation, the work, and which sequences, operations that do nothing left out.
"""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

from predictors.cells import Cell, Codes

Floats = NDArray[np.float64]
FAR = 99  # the shortest of no paths, before it is clipped to one more than the longest


class CellFeatures:
    """Rows of codes (n, E) -> features (n, F) float32; the first `genes` are one-hot codes of live edges."""

    def __init__(self, cell: Cell) -> None:
        self.cell = cell
        self.columns = len(cell.edges)
        self.genes = len(cell.edges) * len(cell.operations)
        self._there = [code for code in range(len(cell.operations)) if code != cell.none]
        self.width = self(np.zeros((1, len(cell.edges)), np.int64)).shape[1]

    @property
    def definition(self) -> dict[str, object]:
        """From which `features_from` makes it again."""
        return {"kind": "cell", "name": self.cell.name}

    def __call__(self, X: Codes) -> NDArray[np.float32]:
        """See the class."""
        live = self.cell.live(np.asarray(X))
        codes = range(len(self.cell.operations))
        one_hot = np.concatenate([live == code for code in codes], axis=1)
        counts = np.stack([(live == code).sum(axis=1) for code in codes], axis=1)
        columns = [one_hot, counts, self._by_subset(live), self._along_paths(live), self._sequences(live)]
        return np.concatenate(columns, axis=1).astype(np.float32)

    def _by_subset(self, live: Codes) -> Floats:
        edges = np.array(self.cell.edges)
        lengths = np.array([len(path) for path in self.cell.paths])
        found = []
        for size in range(1, len(self._there) + 1):
            for subset in itertools.combinations(self._there, size):
                inside = np.isin(live, subset)
                whole = np.stack([inside[:, path].all(axis=1) for path in self.cell.paths], axis=1)
                found += [whole.sum(axis=1), np.where(whole, lengths, 0).max(axis=1)]
                found.append(np.where(whole, lengths, FAR).min(axis=1).clip(max=lengths.max() + 1))
                for end in (0, 1):
                    found += [inside[:, edges[:, end] == point].sum(axis=1) for point in np.unique(edges[:, end])]
        return np.stack(found, axis=1).astype(np.float64)

    def _along_paths(self, live: Codes) -> Floats:
        """For each operation, all that have weights, and their work: the sums along the paths, sorted; -1 where cut."""
        macs = np.array(self.cell.macs)
        weights = [np.eye(len(macs))[code] for code in self._there] + [(macs > 0).astype(float), np.log2(1 + macs)]
        whole = np.stack([self._whole(live, path) for path in self.cell.paths], axis=1)
        found = []
        for weight in weights:
            sums = np.stack([weight[live[:, path]].sum(axis=1) for path in self.cell.paths], axis=1)
            along = np.where(whole, sums, -1.0)
            least = np.where(whole, sums, FAR).min(axis=1).clip(max=FAR)
            total = np.where(whole, sums, 0.0).sum(axis=1)
            found += [*-np.sort(-along, axis=1).T, least, total, total / np.maximum(whole.sum(axis=1), 1)]
        work = macs[live].sum(axis=1)
        return np.stack([*found, work, np.log1p(work)], axis=1)

    def _sequences(self, live: Codes) -> Floats:
        """How many paths have each sequence of operations, those that do nothing left out."""
        acting = [code for code in self._there if code != self.cell.skip]
        digit = np.zeros(len(self.cell.operations), np.int64)
        digit[acting] = np.arange(1, len(acting) + 1)
        base = len(acting) + 1
        longest = max(len(path) for path in self.cell.paths)
        counts = np.zeros((len(live), base**longest))
        for path in self.cell.paths:
            word = np.zeros(len(live), np.int64)
            for edge in path:
                digits = digit[live[:, edge]]
                word = np.where(digits > 0, word * base + digits, word)
            whole = self._whole(live, path)
            counts[np.flatnonzero(whole), word[whole]] += 1
        legal = [word for word in range(base**longest) if _solid(word, base)]
        return counts[:, legal]

    def _whole(self, live: Codes, path: tuple[int, ...]) -> NDArray[np.bool_]:
        return (live[:, path] != self.cell.none).all(axis=1)


def _solid(word: int, base: int) -> bool:
    """Whether no digit of a word but those in front is zero."""
    while word:
        if word % base == 0:
            return False
        word //= base
    return True
