"""Architectures as tokens: one for each operator, with what it is, what it costs, and how it is wired to the others.

A token says the same wherever its operator stands, so what is learnt from the tokens of one space can be used in another
(as in AIO-P, Mills et al., AAAI 2023, arXiv 2211.17228).
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from predictors.cells import CELLS, Cell
from predictors.errors import PredictorError
from predictors.features import spec_features
from predictors.recipe_features import Recipe, scale_of
from search_spaces.build import cost
from search_spaces.decode import state_size
from search_spaces.operators import get_operator
from search_spaces.operators.base import FAMILIES, ROLES
from search_spaces.space import SearchSpace
from search_spaces.spaces import get_space, make_space
from search_spaces.spec import OperatorSpec

Floats = NDArray[np.float32]
Integers = NDArray[np.int64]
CODE = 16  # numbers that stand for a name
WIDTH = 2 * CODE + len(ROLES) + len(FAMILIES) + 6  # of what a token says of its operator
PLACE = 4  # of what it says of its place
COSTS = ("MACs", "parameters", "activations", "state")
SELF, BEFORE, AFTER, EARLIER, LATER, BESIDE, ABSENT = range(7)  # what another token is to one


@dataclass(frozen=True)
class Sequences:
    """Tokens of n architectures, L the most of one.

    Attributes:
        operators: (n, L) rows of the vocabulary; 0 where there is no token.
        there: (n, L) whether there is one.
        places: (n, L, PLACE) how many tokens come before it, after it and beside it, and how far along it is.
        relations: (n, L, L) what the second token is to the first: SELF, what it reads (BEFORE), what reads it (AFTER),
            EARLIER or LATER on a way through it, BESIDE it, or ABSENT.
    """

    operators: Integers
    there: NDArray[np.bool_]
    places: Floats
    relations: NDArray[np.int8]


class Tokens:
    """Rows (n, G) of genes or codes -> `Sequences`.

    Made by `tokens_from`.

    Args:
        vocabulary: (V, WIDTH) what a token says of each operator.
        costs: (V, 4) `COSTS` of each.
        wires: of the slots that may hold a token, (S, 2): the point that it reads and the one that it adds to, -1 for none.
    """

    def __init__(self, vocabulary: Floats, costs: NDArray[np.float64], wires: Integers) -> None:
        self.vocabulary, self._costs, self._wires = vocabulary, costs, wires
        self._chain = bool((wires[:, 0] < 0).all())

    def held(self, X: NDArray[np.integer]) -> Integers:
        """(n, S) the vocabulary's row in each slot, -1 for none."""
        raise NotImplementedError

    def sample(self, count: int, rng: np.random.Generator) -> NDArray[np.integer]:
        """(count, G) random rows."""
        raise NotImplementedError

    def cost(self, X: NDArray[np.integer]) -> NDArray[np.float64]:
        """(n, 4) `COSTS` of whole networks (of one cell where the space is one), which are sums over their tokens."""
        held = self.held(X)
        return np.where((held >= 0)[..., None], self._costs[held], 0.0).sum(axis=1)

    def __call__(self, X: NDArray[np.integer]) -> Sequences:
        """The tokens, first to last, those that are not there at the end."""
        held = self.held(X)
        order = np.argsort(held < 0, axis=1, kind="stable")
        order = order[:, : max(1, int((held >= 0).sum(axis=1).max(initial=0)))]
        held = np.take_along_axis(held, order, axis=1)
        there = held >= 0
        direct = self._direct(order, there)
        through = _closure(direct) if not self._chain else _later(there)
        relations = np.full(direct.shape, BESIDE, np.int8)
        relations[through] = LATER
        relations[through.transpose(0, 2, 1)] = EARLIER
        relations[direct] = AFTER
        relations[direct.transpose(0, 2, 1)] = BEFORE
        relations[:, np.arange(order.shape[1]), np.arange(order.shape[1])] = SELF
        relations[~(there[:, :, None] & there[:, None, :])] = ABSENT
        before, after = through.sum(axis=1), through.sum(axis=2)
        beside = there.sum(axis=1, keepdims=True) - 1 - before - after
        along = (before + 0.5) / (before + after + 1)
        places = np.stack([np.log1p(before), np.log1p(after), np.log1p(np.maximum(beside, 0)), along], axis=-1)
        return Sequences(np.where(there, held, 0), there, (places * there[..., None]).astype(np.float32), relations)

    def _direct(self, order: Integers, there: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """(n, L, L) whether the second token reads what the first gives."""
        length = order.shape[1]
        source, target = self._wires[order, 0], self._wires[order, 1]
        read = (source[:, None, :] >= 0) & (target[:, :, None] == source[:, None, :])
        read |= (source[:, None, :] < 0) & np.eye(length, k=1, dtype=bool)
        return np.asarray(read & there[:, :, None] & there[:, None, :])


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
            vocabulary[row, :CODE] = _code(f"code {k}" if alike else f"column {g} code {k}")
            vocabulary[row, CODE : 2 * CODE] = _code(f"column {g}")
        super().__init__(vocabulary, np.zeros((len(vocabulary), 4)), np.full((len(cardinalities), 2), -1))

    def held(self, X: NDArray[np.integer]) -> Integers:
        return np.asarray(X, np.int64) + self._first

    def sample(self, count: int, rng: np.random.Generator) -> NDArray[np.integer]:
        return rng.integers(self._counts, size=(count, len(self._counts)))


class RecipeTokens(Tokens):
    """Those of an architecture, and one for each gene of a training recipe: of its name, and of its word or, scaled to mean
    0 and deviation 1 over the gene's values, its number. They are wired to nothing."""

    def __init__(self, architecture: Tokens, recipe: Recipe) -> None:
        self._architecture = architecture
        self._counts = np.array([len(values) for values in recipe.values()])
        self._first = len(architecture.vocabulary) + np.cumsum([0, *self._counts[:-1]])
        said = []
        for gene, values in recipe.items():
            scale = scale_of(values)
            if scale is None:
                codes = np.array([_code(f"{gene} {word}") for word in values])
            else:
                codes = ((scale - scale.mean()) / (scale.std() or 1.0))[:, None] * _code(f"number {gene}")
            name = np.tile(_code(f"recipe {gene}"), (len(values), 1))
            said.append(np.hstack((name, codes, np.zeros((len(values), WIDTH - 2 * CODE)))))
        vocabulary = np.concatenate((architecture.vocabulary, *said)).astype(np.float32)
        costs = np.concatenate((architecture._costs, np.zeros((int(self._counts.sum()), len(COSTS)))))
        alone = architecture._wires.max() + 1 + np.arange(2)  # points of no other token
        super().__init__(vocabulary, costs, np.concatenate((architecture._wires, np.tile(alone, (len(recipe), 1)))))

    def held(self, X: NDArray[np.integer]) -> Integers:
        G = X.shape[1] - len(self._counts)
        return np.hstack((self._architecture.held(X[:, :G]), X[:, G:] + self._first))

    def sample(self, count: int, rng: np.random.Generator) -> NDArray[np.integer]:
        recipe = rng.integers(self._counts, size=(count, len(self._counts)))
        return np.hstack((self._architecture.sample(count, rng), recipe))


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
        sizes = sum((np.log1p(value) * _code(size) for size, value in spec.sizes), np.zeros(CODE))
        kind = [*(operator.role == role for role in ROLES), *(operator.family == family for family in FAMILIES)]
        extent = spec_features([spec], [])[0, 2:4]
        found[row] = np.concatenate([_code(spec.name), sizes, kind, np.log1p(costs[row]), extent])
    return found, costs


def _code(name: str) -> NDArray[np.float64]:
    """(CODE,) numbers +-1 that stand for a name: nearly orthogonal for different ones, and known for any."""
    bits = np.unpackbits(np.frombuffer(hashlib.sha256(name.encode()).digest()[: CODE // 8], np.uint8))
    return np.where(bits == 1, 1.0, -1.0)


def _later(there: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(n, L, L) of a chain: whether the second token comes after the first."""
    length = there.shape[1]
    return np.asarray(np.triu(np.ones((length, length), bool), 1) & there[:, :, None] & there[:, None, :])


def _closure(direct: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(n, L, L) whether a way leads from the first token to the second."""
    reached = direct.astype(np.float32)
    for _ in range(max(1, int(np.ceil(np.log2(max(2, direct.shape[1])))))):
        reached = np.minimum(reached + reached @ reached, 1.0)
    return np.asarray(reached > 0)
