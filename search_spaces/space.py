"""`Choice` and `SearchSpace`: what can be chosen, as integer matrices of genes.

A population is an ``(n, G)`` integer matrix: column g holds the index of the value chosen for gene g. Genes form a
forest: a gene may be active only for some values of one earlier gene (the sizes of an operator only where that operator
was chosen). Inactive genes are set to 0, so equal networks have equal rows. Nothing here loops over candidates.
"""

from __future__ import annotations

import fnmatch
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from search_spaces.additive import Additive
from search_spaces.errors import SpaceError
from search_spaces.spec import OperatorSpec

if TYPE_CHECKING:
    from search_spaces.architecture import Architecture

GENE = np.int16


@dataclass(frozen=True)
class Choice:
    """One gene: its legal values, and when it is active.

    Attributes:
        name: e.g. ``"stage1.layer2.mixer"``.
        values: legal values in order; sizes ascend, so that the last is the largest.
        when: ``(parent gene, parent values)``: active only while the parent is active and has one of these values.
    """

    name: str
    values: tuple[Any, ...]
    when: tuple[str, tuple[Any, ...]] | None = None


@dataclass(frozen=True)
class Slot:
    """A place in the network that may hold one operator.

    Attributes:
        key: names the weights in the supernet; what is shared has the same key.
        genes: the genes the operator's spec depends on.
        spec: called with the values of ``genes``, gives the `OperatorSpec`.
        when: as in `Choice`; ``None`` for operators that every architecture has.
        source: the point whose value the operator reads; empty: what the operator before it gave.
        target: the point to whose value it adds its own; empty: only the next operator reads it. Points make networks
            that are not chains.
    """

    key: str
    genes: tuple[str, ...]
    spec: Callable[..., OperatorSpec]
    when: tuple[str, tuple[Any, ...]] | None = None
    source: str = ""
    target: str = ""


def row_keys(rows: np.ndarray) -> list[bytes]:
    """One hashable key for each canonical row of an ``(n, G)`` matrix: equal rows, equal keys."""
    rows = np.ascontiguousarray(rows, dtype=GENE)
    keys: Any = rows.view(np.dtype((np.void, rows.itemsize * rows.shape[1]))).ravel().tolist()
    return list(keys)


class SearchSpace:
    """A set of architectures over declared choices.

    Args:
        name: e.g. ``"hybrid-vision/tiny"``.
        definition: JSON-able arguments from which `search_spaces.make_space` builds this space again.
        choices: the genes, parents before children.
        slots: the operators of the network in the order in which they run.
        legal: for each gene the indices of its values that this space may use (all, unless restricted).

    Raises:
        SpaceError: two choices share a name, a choice has no value or repeats one, or a condition names an unknown
            or later gene.
    """

    def __init__(
        self,
        name: str,
        definition: Mapping[str, Any],
        choices: Sequence[Choice],
        slots: Sequence[Slot],
        legal: Sequence[np.ndarray] | None = None,
    ) -> None:
        self.name = name
        self.definition = dict(definition)
        self.choices = tuple(choices)
        self.slots = tuple(slots)
        self.index = {choice.name: g for g, choice in enumerate(self.choices)}
        self._check()
        self.cardinalities = np.array([len(choice.values) for choice in self.choices])
        self.legal = tuple(np.arange(n) for n in self.cardinalities) if legal is None else tuple(legal)
        width = int(self.cardinalities.max())
        self._count = np.array([len(values) for values in self.legal])
        self._legal = np.zeros((len(self.choices), width), GENE)  # row g: the legal indices of gene g, then padding
        self._position = np.full((len(self.choices), width), -1, GENE)  # the inverse: where an index stands among them
        for g, values in enumerate(self.legal):
            self._legal[g, : len(values)] = values
            self._position[g, values] = np.arange(len(values))
        self._free = self._count > 1
        self._levels = self._condition_levels(width)

    def _check(self) -> None:
        if len(self.index) != len(self.choices):
            raise SpaceError(f"space {self.name!r}: two choices share a name")
        for g, choice in enumerate(self.choices):
            if not choice.values or len(set(choice.values)) != len(choice.values):
                raise SpaceError(f"choice {choice.name!r}: values {choice.values!r} must be one or more, all different")
            if choice.when is not None and self.index.get(choice.when[0], g) >= g:
                raise SpaceError(f"choice {choice.name!r}: its parent {choice.when[0]!r} must be an earlier choice")
        for slot in self.slots:
            for gene in (*slot.genes, *(slot.when[:1] if slot.when else ())):
                if gene not in self.index:
                    raise SpaceError(f"slot {slot.key!r}: unknown gene {gene!r}")

    def allowed(self, when: tuple[str, tuple[Any, ...]]) -> np.ndarray:
        """Boolean mask over the values of the gene in condition ``when``: those that satisfy it."""
        return np.array([value in when[1] for value in self.choices[self.index[when[0]]].values])

    def _condition_levels(self, width: int) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Per depth of the forest: (genes, their parents, mask over parent values), so activity takes a few gathers."""
        depth = np.zeros(len(self.choices), int)
        levels: dict[int, list[tuple[int, int, np.ndarray]]] = {}
        for g, choice in enumerate(self.choices):
            if choice.when is None:
                continue
            parent = self.index[choice.when[0]]
            depth[g] = depth[parent] + 1
            mask = np.zeros(width, bool)
            allowed = self.allowed(choice.when)
            mask[: len(allowed)] = allowed
            levels.setdefault(int(depth[g]), []).append((g, parent, mask))
        return [
            (np.array([g for g, _, _ in level]), np.array([p for _, p, _ in level]), np.stack([m for _, _, m in level]))
            for _, level in sorted(levels.items())
        ]

    # --- populations -----------------------------------------------------------------------------------------------

    def active(self, rows: np.ndarray) -> np.ndarray:
        """``(n, G)`` mask of the genes that have an effect."""
        mask = np.ones(rows.shape, bool)
        for genes, parents, allowed in self._levels:
            mask[:, genes] = mask[:, parents] & allowed[np.arange(len(genes)), rows[:, parents]]
        return mask

    def canonicalise(self, rows: np.ndarray) -> np.ndarray:
        """``rows`` with inactive genes set to 0, as a new ``(n, G)`` matrix."""
        rows = np.array(rows, dtype=GENE)
        if self._levels:
            rows *= self.active(rows)
        return rows

    def _draw(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """``(n, G)`` legal values, independent and uniform, not yet canonical."""
        position = (rng.random((n, len(self.choices))) * self._count).astype(GENE)
        return self._legal[np.arange(len(self.choices)), position]

    def sample(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """``n`` random canonical architectures: every gene uniform over its legal values. ``(n, G)``."""
        return self.canonicalise(self._draw(n, rng))

    def mutate(self, rows: np.ndarray, rng: np.random.Generator, rate: float | None = None) -> np.ndarray:
        """One child a row: each active gene changes with probability ``rate`` (default one gene on average), at least
        one always does. Genes that become active take random values. ``(n, G)``."""
        active = self.active(rows)
        mutable = active & self._free
        if rate is None:
            chance = 1.0 / np.maximum(mutable.sum(1, keepdims=True), 1)
        else:
            chance = np.full((len(rows), 1), rate)
        change = mutable & (rng.random(rows.shape, np.float32) < chance)
        need = np.flatnonzero(~change.any(1) & mutable.any(1))
        forced = np.where(mutable[need], rng.random((len(need), rows.shape[1]), np.float32), -1.0).argmax(1)
        change[need, forced] = True
        child = self._filled(rows, active, rng)
        n, g = np.nonzero(change)
        position = self._position[g, rows[n, g]]
        others = self._count[g] - (position >= 0)  # how many legal values differ from the present one
        draw = (rng.random(len(n)) * others).astype(GENE)
        draw += (position >= 0) & (draw >= position)
        child[n, g] = self._legal[g, draw]
        return self.canonicalise(child)

    def _filled(self, rows: np.ndarray, active: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """A copy of ``rows`` with legal random values for the genes that are not ``active``."""
        filled = np.array(rows, dtype=GENE)
        if self._levels:
            n, g = np.nonzero(~active)
            filled[n, g] = self._legal[g, (rng.random(len(n)) * self._count[g]).astype(GENE)]
        return filled

    def crossover(self, a: np.ndarray, b: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Uniform crossover, row by row. A gene that is inactive in one parent is taken from the other. ``(n, G)``."""
        if self._levels:
            active_a, active_b = self.active(a), self.active(b)
            a = np.where(active_a, a, np.where(active_b, b, self._filled(a, active_a | active_b, rng)))
            b = np.where(active_b, b, a)
        bits = rng.integers(256, size=(a.size + 7) // 8, dtype=np.uint8)
        coin = np.unpackbits(bits, count=a.size).reshape(a.shape)
        chosen = b ^ (a ^ b) * coin  # a where the coin is 1; np.where waits for every wrong guess of a branch
        return self.canonicalise(chosen)

    def neighbours(self, row: np.ndarray) -> np.ndarray:
        """Every architecture that differs from ``row`` ``(G,)`` in one active gene; genes that become active take
        their first legal value. ``(k, G)``, without ``row`` and without repeats."""
        row = np.asarray(row, dtype=GENE)
        active = self.active(row[None])[0]
        base = np.where(active, row, self._legal[:, 0])
        rows = []
        for g in np.flatnonzero(active):
            for value in self.legal[g]:
                if value != row[g]:
                    child = base.copy()
                    child[g] = value
                    rows.append(child)
        if not rows:
            return np.empty((0, len(self.choices)), GENE)
        unique: np.ndarray = np.unique(self.canonicalise(np.stack(rows)), axis=0)
        return unique[(unique != row).any(1)]

    def largest(self, rows: np.ndarray) -> np.ndarray:
        """``rows`` with every size at its largest legal value, keeping the operator types. ``(n, G)``."""
        return self._extreme(rows, -1)

    def smallest(self, rows: np.ndarray) -> np.ndarray:
        """``rows`` with every size at its smallest legal value, keeping the operator types. ``(n, G)``."""
        return self._extreme(rows, 0)

    def _extreme(self, rows: np.ndarray, end: int) -> np.ndarray:
        sizes = np.array([all(isinstance(v, int | float) for v in choice.values) for choice in self.choices])
        ends = np.array([values[end] for values in self.legal], GENE)
        types = np.where(self.active(rows), rows, self._legal[:, 0])  # a type that becomes active needs a legal value
        return self.canonicalise(np.where(sizes, ends, types))

    # --- the space as a whole --------------------------------------------------------------------------------------

    def size(self) -> int:
        """The exact number of architectures: a sum over values and a product over children, from the leaves up."""
        children: dict[int, list[int]] = {}
        for g, choice in enumerate(self.choices):
            if choice.when is not None:
                children.setdefault(self.index[choice.when[0]], []).append(g)

        def count(g: int) -> int:
            total = 0
            for value in self.legal[g]:
                product = 1
                for child in children.get(g, ()):
                    if self.choices[g].values[value] in self.choices[child].when[1]:  # type: ignore[index]
                        product *= count(child)
                total += product
            return total

        product = 1
        for g, choice in enumerate(self.choices):
            if choice.when is None:
                product *= count(g)
        return product

    def restrict(self, allowed: Mapping[str, Sequence[Any]]) -> SearchSpace:
        """The same genes and encoding with fewer legal values; ``*`` in a gene name matches many genes.

        Raises:
            SpaceError: a pattern matches no gene, or a matched gene would have no legal value left.
        """
        legal = list(self.legal)
        for pattern, values in allowed.items():
            matched = fnmatch.filter(self.index, pattern)
            if not matched:
                raise SpaceError(f"restrict: {pattern!r} matches no gene; genes are {', '.join(self.index)}")
            for gene in matched:
                g = self.index[gene]
                legal[g] = np.array([i for i in legal[g] if self.choices[g].values[i] in values], int)
                if not len(legal[g]):
                    raise SpaceError(
                        f"restrict: {gene!r} has none of {list(values)!r}; legal: {self.choices[g].values}"
                    )
        return SearchSpace(self.name, self.definition, self.choices, self.slots, legal)

    @cached_property
    def _reachable(self) -> list[list[bool]]:
        """For each gene and value index: can a legal architecture have it?"""
        reach: list[list[bool]] = []
        for g, choice in enumerate(self.choices):
            live = choice.when is None or self._can_hold(choice.when, reach)
            reach.append([live and i in self.legal[g] for i in range(len(choice.values))])
        return reach

    def _can_hold(self, when: tuple[str, tuple[Any, ...]], reach: list[list[bool]]) -> bool:
        return bool((self.allowed(when) & reach[self.index[when[0]]]).any())

    def slot_specs(self, slot: Slot) -> Iterable[OperatorSpec]:
        """Every spec that ``slot`` can hold in a legal architecture (none if it is never active)."""
        if slot.when is not None and not self._can_hold(slot.when, self._reachable):
            return
        options = []
        for gene in slot.genes:
            g = self.index[gene]
            options.append([v for i, v in enumerate(self.choices[g].values) if self._reachable[g][i]])
        for values in itertools.product(*options):
            yield slot.spec(*values)

    def specs(self) -> list[OperatorSpec]:
        """Every unique operator spec of the space, in the order of the network."""
        return list(dict.fromkeys(spec for slot in self.slots for spec in self.slot_specs(slot)))

    @cached_property
    def held(self) -> tuple[list[OperatorSpec], list[np.ndarray]]:
        """Every distinct spec over all values of the genes, legal or not; and for each slot which of them it holds, one index
        for each combination of the values of its genes, the last gene fastest."""
        specs: dict[OperatorSpec, int] = {}
        held = []
        for slot in self.slots:
            values = itertools.product(*(self.choices[self.index[gene]].values for gene in slot.genes))
            found = (specs.setdefault(slot.spec(*combination), len(specs)) for combination in values)
            held.append(np.fromiter(found, np.intp))
        return list(specs), held

    def additive(self, value_of_spec: Callable[[OperatorSpec], float]) -> Additive:
        """An objective that is a sum over an architecture's specs, ready to score matrices of candidates."""
        return Additive(self, value_of_spec)

    # --- one architecture ------------------------------------------------------------------------------------------

    def architecture(self, row: np.ndarray) -> Architecture:
        """The architecture of one row ``(G,)`` (made canonical first)."""
        from search_spaces.architecture import Architecture

        return Architecture(self, tuple(int(v) for v in self.canonicalise(np.asarray(row)[None])[0]))

    def matrix(self, architectures: Iterable[Architecture]) -> np.ndarray:
        """The ``(n, G)`` rows of ``architectures``."""
        rows = [architecture.genes for architecture in architectures]
        return np.array(rows, GENE).reshape(len(rows), len(self.choices))

    def __repr__(self) -> str:
        return f"SearchSpace({self.name!r}, genes={len(self.choices)}, size={self.size():.3g})"
