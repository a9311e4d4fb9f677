"""Numbers that describe an operator spec or a whole architecture to a model."""

from __future__ import annotations

import math
import re
from functools import lru_cache
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from search_spaces.operators import get_operator
from search_spaces.space import SearchSpace
from search_spaces.spec import OperatorSpec

Floats = NDArray[np.float64]


class Features(Protocol):
    """Rows (n, G) of genes or codes -> features (n, F) float32, of which the first `genes` are one-hot."""

    @property
    def columns(self) -> int:
        """G."""
        ...

    @property
    def genes(self) -> int: ...

    @property
    def width(self) -> int: ...

    @property
    def definition(self) -> dict[str, Any]:
        """JSON-able; see `predictors.encoding.features_from`."""
        ...

    def __call__(self, X: NDArray[Any]) -> NDArray[np.float32]: ...


@lru_cache(maxsize=65536)
def work(spec: OperatorSpec) -> tuple[int, int]:
    """(MACs, activations) of one operator on one input, from the operator's own formula: nothing is built."""
    return get_operator(spec.name).work(*_extent(spec), **dict(spec.sizes))


def _extent(spec: OperatorSpec) -> tuple[int, ...]:
    """Height and width of an image, or the length of a sequence."""
    if get_operator(spec.name).domain == "sequence":
        return spec.shape[:1]
    return (*spec.shape[1:], 1, 1)[:2]


ALIGNMENT = slice(4, 6)  # columns of `spec_features`


def spec_features(specs: list[OperatorSpec], sizes: list[str]) -> Floats:
    """(n, 6 + sizes) for specs of ONE operator: the logs of MACs, activations, tokens (H x W, or the length) and input
    channels; how often two divides the tokens (up to 2) and the channels (up to 4); then the log of every size.

    Kernels pack channels by 4, 8 or 16 and tokens by 4, and take another way where that does not go up. ``sizes`` names the
    columns; a size that a spec lacks counts as 0 (all logs are log(1 + value)).
    """
    rows, alignment = [], []
    for spec in specs:
        values = dict(spec.sizes)
        tokens = math.prod(_extent(spec))
        channels = math.prod(spec.shape) // tokens
        rows.append((*work(spec), tokens, channels, 0, 0, *(values.get(size, 0) for size in sizes)))
        alignment.append((min(_twos(tokens), 2), min(_twos(channels), 4)))
    raw = np.log1p(np.array(rows, dtype=np.float64).reshape(len(specs), 6 + len(sizes)))
    raw[:, ALIGNMENT] = np.array(alignment, dtype=np.float64).reshape(len(specs), 2)
    return raw


def _twos(number: int) -> int:
    """How often two divides a positive number."""
    return (number & -number).bit_length() - 1


class ArchitectureFeatures:
    """Rows of a space -> features of a network.

    One-hot genes (all zero where the gene is inactive); the same pooled over genes that differ only in their numbers
    (``stage*.layer*.mixer``), for the network and for each first part of a name (a stage), which says how often a
    choice was made wherever it was made; the number of active genes; the logs of total MACs and activations.
    """

    def __init__(self, space: SearchSpace) -> None:
        self._space = space
        self._gene = np.repeat(np.arange(len(space.cardinalities)), space.cardinalities)
        self._value = np.concatenate([np.arange(n) for n in space.cardinalities])
        pools: dict[tuple[str, object], list[int]] = {}
        for column, (gene, value) in enumerate(zip(self._gene, self._value, strict=True)):
            choice = space.choices[gene]
            first, _, rest = choice.name.partition(".")
            pattern = re.sub(r"\d+", "*", rest)
            pools.setdefault((f"{re.sub(r'[0-9]+', '*', first)}.{pattern}", choice.values[value]), []).append(column)
            pools.setdefault((f"{first}.{pattern}", choice.values[value]), []).append(column)
        shared = [columns for columns in pools.values() if len(columns) > 1]
        self._pools = np.zeros((len(self._gene), len(shared)), dtype=np.float32)
        for i, columns in enumerate(shared):
            self._pools[columns, i] = 1.0
        self._macs = space.additive(lambda spec: float(work(spec)[0]))
        self._activations = space.additive(lambda spec: float(work(spec)[1]))

    @property
    def columns(self) -> int:
        """G, how many genes a row has."""
        return len(self._space.choices)

    @property
    def definition(self) -> dict[str, object]:
        """From which `features_from` makes it again."""
        return {"kind": "space", "space": self._space.definition}

    @property
    def width(self) -> int:
        """F, the number of features."""
        return len(self._gene) + self._pools.shape[1] + 3

    @property
    def genes(self) -> int:
        """How many of the features, the first ones, are one-hot genes."""
        return len(self._gene)

    def __call__(self, X: NDArray[np.int16]) -> NDArray[np.float32]:
        """(n, F) float32 for canonical rows (n, G)."""
        active = self._space.active(X)
        one_hot = ((X[:, self._gene] == self._value) & active[:, self._gene]).astype(np.float32)
        cost = np.log1p(np.column_stack((self._macs.score(X), self._activations.score(X))))
        return np.column_stack((one_hot, one_hot @ self._pools, active.sum(axis=1), cost)).astype(np.float32)
