"""Features of plain codes, of a table whose space is not known: which code where, and how often."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


class CodeFeatures:
    """Rows of codes (n, G), column g from 0 to cardinalities[g] - 1 -> features (n, F) float32.

    One-hot codes, `genes` of them; where all columns have the same codes, also how often each one occurs in the row, in its
    first and in its second half (depth matters).
    """

    def __init__(self, cardinalities: Sequence[int]) -> None:
        self.cardinalities = tuple(int(count) for count in cardinalities)
        self.columns = len(self.cardinalities)
        self.genes = sum(self.cardinalities)
        alike = len(set(self.cardinalities)) == 1 and len(self.cardinalities) > 1
        self._parts = self._halves() if alike else []
        self.width = self.genes + len(self._parts) * (self.cardinalities[0] if alike else 0)

    @property
    def definition(self) -> dict[str, object]:
        """From which `features_from` makes it again."""
        return {"kind": "codes", "cardinalities": list(self.cardinalities)}

    def __call__(self, X: NDArray[np.integer]) -> NDArray[np.float32]:
        """See the class."""
        columns = [X[:, [g]] == np.arange(count) for g, count in enumerate(self.cardinalities)]
        counts = [
            np.stack([(X[:, part] == code).sum(axis=1) for code in range(self.cardinalities[0])], axis=1)
            for part in self._parts
        ]
        return np.concatenate([*columns, *counts], axis=1).astype(np.float32)

    def _halves(self) -> list[slice]:
        half = len(self.cardinalities) // 2
        return [slice(None), slice(half), slice(half, None)]
