"""The tokens of each kind of architecture: of a search space, of a cell, of plain codes."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from predictors.cells import CELLS, Cell
from predictors.errors import PredictorError
from predictors.features import spec_features
from predictors.recipe_tokens import RecipeTokens
from predictors.token_sequences import (
    CODE,
    WIDTH,
    Floats,
    Integers,
    Tokens,
    code_of,
)
from search_spaces.build import cost
from search_spaces.decode import state_size
from search_spaces.operators import get_operator
from search_spaces.operators.base import FAMILIES, ROLES
from search_spaces.space import SearchSpace
from search_spaces.spaces import get_space, make_space
from search_spaces.spec import OperatorSpec


class SpaceTokens(Tokens):
    """The operators of a network of ``space``, in the order in which they run."""

    def __init__(self, space: SearchSpace) -> None:
        self._space = space
        self._slots: list[tuple[Integers, Integers, Integers, tuple[int, NDArray[np.bool_]] | None]] = []
        known: dict[OperatorSpec, int] = {}
        for slot in space.slots:
            genes = [space.index[gene] for gene in slot.genes]
            values = itertools.product(*(space.choices[g].values for g in genes))
            rows = [known.setdefault(slot.spec(*chosen), len(known)) for chosen in values]
            strides = np.cumprod([1, *(len(space.choices[g].values) for g in genes[:0:-1])])[::-1]
            when = None if slot.when is None else (space.index[slot.when[0]], space.allowed(slot.when))
            self._slots.append((np.array(genes, int), strides[: len(genes)], np.array(rows), when))
        points = {
            point: i for i, point in enumerate(dict.fromkeys(p for s in space.slots for p in (s.source, s.target)))
        }
        wires = [[points[end] if end else -1 for end in (slot.source, slot.target)] for slot in space.slots]
        super().__init__(*_described(list(known)), np.array(wires))

    def held(self, X: NDArray[np.integer]) -> Integers:
        active = self._space.active(X)
        found = np.full((len(X), len(self._slots)), -1)
        for number, (genes, strides, rows, when) in enumerate(self._slots):
            value = rows[X[:, genes].astype(np.int64) @ strides] if len(genes) else np.full(len(X), rows[0])
            there = np.ones(len(X), bool) if when is None else active[:, when[0]] & when[1][X[:, when[0]]]
            found[there, number] = value[there]
        return found

    def sample(self, count: int, rng: np.random.Generator) -> NDArray[np.integer]:
        return self._space.sample(count, rng)


class CellTokens(Tokens):
    """The live operations of one cell of the first width, an edge each."""

    def __init__(self, cell: Cell) -> None:
        self._cell = cell
        slots = get_space("nas-bench-201").slots  # whose operations all known cells have
        specs = {slot.when[1][0]: slot.spec() for slot in reversed(slots) if slot.when is not None}
        super().__init__(*_described([specs[name] for name in cell.operations]), np.array(cell.edges))

    def held(self, X: NDArray[np.integer]) -> Integers:
        live = np.asarray(self._cell.live(np.asarray(X, np.int64)))
        return np.where(live == (-1 if self._cell.none is None else self._cell.none), -1, live)

    def sample(self, count: int, rng: np.random.Generator) -> NDArray[np.integer]:
        return rng.integers(len(self._cell.operations), size=(count, len(self._cell.edges)))


class CodeTokens(Tokens):
    """Plain codes, one token a column: of the column's and the code's name alone, for nothing else is known of them."""

    def __init__(self, cardinalities: list[int]) -> None:
        self._counts = np.array(cardinalities)
        self._first = np.cumsum([0, *cardinalities[:-1]])
        alike = len(set(cardinalities)) == 1
        vocabulary = np.zeros((sum(cardinalities), WIDTH), np.float32)
        for row, (g, k) in enumerate((g, k) for g, count in enumerate(cardinalities) for k in range(count)):
            vocabulary[row, :CODE] = code_of(f"code {k}" if alike else f"column {g} code {k}")
            vocabulary[row, CODE : 2 * CODE] = code_of(f"column {g}")
        super().__init__(vocabulary, np.zeros((len(vocabulary), 4)), np.full((len(cardinalities), 2), -1))

    def held(self, X: NDArray[np.integer]) -> Integers:
        return np.asarray(X, np.int64) + self._first

    def sample(self, count: int, rng: np.random.Generator) -> NDArray[np.integer]:
        return rng.integers(self._counts, size=(count, len(self._counts)))


def tokens_from(definition: Mapping[str, Any]) -> Tokens:
    """Tokens of what features of that definition describe; see `predictors.encoding.features_from`.

    Raises:
        PredictorError: it is none.
    """
    kind = definition.get("kind")
    if kind == "space":
        return SpaceTokens(make_space(definition["space"]))
    if kind == "cell":
        return CellTokens(CELLS[definition["name"]])
    if kind == "codes":
        return CodeTokens(list(definition["cardinalities"]))
    if kind == "proxies":
        return tokens_from(definition["features"])
    if kind == "recipe":
        return RecipeTokens(tokens_from(definition["features"]), dict(definition["recipe"]))
    raise PredictorError(f"features: got kind {kind!r}; legal for tokens: space, cell, codes, proxies, recipe")


def _described(specs: list[OperatorSpec]) -> tuple[Floats, NDArray[np.float64]]:
    """(V, WIDTH) what tokens say of operators, and (V, 4) their costs."""
    found, costs = np.zeros((len(specs), WIDTH), np.float32), np.zeros((len(specs), 4))
    for row, spec in enumerate(specs):
        operator, known = get_operator(spec.name), cost(spec)
        costs[row] = known.macs, known.parameters, known.activations, state_size(spec)
        sizes = sum((np.log1p(value) * code_of(size) for size, value in spec.sizes), np.zeros(CODE))
        kind = [*(operator.role == role for role in ROLES), *(operator.family == family for family in FAMILIES)]
        extent = spec_features([spec], [])[0, 2:4]
        found[row] = np.concatenate([code_of(spec.name), sizes, kind, np.log1p(costs[row]), extent])
    return found, costs
