"""`Architecture`: one point of a search space, as canonical data."""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from search_spaces.errors import SpaceError
from search_spaces.space import GENE, SearchSpace
from search_spaces.spec import OperatorSpec

FORMAT = "hybrid-nas/architecture"
VERSION = 1


class Node(NamedTuple):
    """One operator of an architecture: ``key`` names its weights in the supernet, ``spec`` its sizes and input, ``source``
    and ``target`` its place in the wiring (see `Slot`)."""

    key: str
    spec: OperatorSpec
    source: str = ""
    target: str = ""

    def __str__(self) -> str:
        wires = f" {self.source}>{self.target}" if self.source or self.target else ""
        return f"{self.key}={self.spec.canonical}{wires}"


@dataclass(frozen=True, eq=False)
class Architecture:
    """One canonical architecture. Equal networks are equal and have equal hashes, whatever space they came from.

    Attributes:
        space: the search space that decodes ``genes``.
        genes: ``(G,)`` value indices, inactive genes 0.
    """

    space: SearchSpace
    genes: tuple[int, ...]

    @cached_property
    def _row(self) -> np.ndarray:
        return np.array(self.genes, GENE)

    @cached_property
    def values(self) -> dict[str, Any]:
        """Gene name -> chosen value, active genes only."""
        active = self.space.active(self._row[None])[0]
        return {c.name: c.values[i] for c, i, on in zip(self.space.choices, self.genes, active, strict=True) if on}

    @cached_property
    def nodes(self) -> tuple[Node, ...]:
        """The operators in the order in which they run; each feeds the next, unless it names points."""
        values = self.values
        nodes = []
        for slot in self.space.slots:
            if slot.when is None or values.get(slot.when[0]) in slot.when[1]:
                spec = slot.spec(*(values[gene] for gene in slot.genes))
                nodes.append(Node(slot.key, spec, slot.source, slot.target))
        return tuple(nodes)

    @property
    def specs(self) -> tuple[OperatorSpec, ...]:
        """The operator specs in the order in which they run."""
        return tuple(node.spec for node in self.nodes)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The network's input without the batch: ``(channels, height, width)``."""
        return self.nodes[0].spec.shape

    @cached_property
    def hash(self) -> str:
        """16 hexadecimal digits of SHA-256 over the network itself (keys, specs and wiring), not over the encoding."""
        text = "\n".join(map(str, self.nodes))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Architecture) and self.nodes == other.nodes

    def __hash__(self) -> int:
        return hash(self.nodes)

    def __repr__(self) -> str:
        return f"Architecture({self.hash}, {self.space.name})"

    def to_json(self) -> dict[str, Any]:
        """JSON-able data from which `from_json` gives this architecture back."""
        return {
            "format": FORMAT,
            "version": VERSION,
            "hash": self.hash,
            "space": self.space.definition,
            "genes": self.values,
        }

    @staticmethod
    def from_json(data: Any, space: SearchSpace | None = None) -> Architecture:
        """The architecture of `to_json` data; ``space`` saves building the space anew.

        Raises:
            SpaceError: a key is unknown or missing, a gene has an illegal value, or the stored hash is another network's.
        """
        if not isinstance(data, Mapping):
            raise SpaceError(f"architecture: got {type(data).__name__}; legal is an object with 'space' and 'genes'")
        legal = ("format", "version", "hash", "space", "genes")
        for key in data:
            if key not in legal:
                raise SpaceError(f"architecture: unknown key {key!r}{_nearest(key, legal)}; legal: {', '.join(legal)}")
        if data.get("format", FORMAT) != FORMAT:
            raise SpaceError(f"architecture: format: got {data['format']!r}; legal is {FORMAT!r}")
        if data.get("version", VERSION) != VERSION or isinstance(data.get("version"), bool):
            raise SpaceError(f"architecture: version: got {data['version']!r}; this release reads {VERSION}")
        for key in ("genes", *(() if space is not None else ("space",))):
            if key not in data:
                raise SpaceError(f"architecture: key {key!r} is missing")
        if space is None or data.get("space", space.definition) != space.definition:
            from search_spaces.spaces import make_space

            stored = make_space(data["space"])
            if space is None:
                space = stored
            elif stored.definition != space.definition:
                raise SpaceError(f"architecture: space: got {stored.definition}; legal here is {space.definition}")
        architecture = Architecture(space, _genes(data["genes"], space))
        if "hash" in data and data["hash"] != architecture.hash:
            raise SpaceError(f"architecture: hash: got {data['hash']!r}; the genes give {architecture.hash!r}")
        return architecture

    @staticmethod
    def from_lines(lines: Iterable[str]) -> list[Architecture]:
        """The architectures of many lines of JSON; a space that comes again is built once.

        Raises:
            SpaceError: see `from_json`; or a line is no JSON.
        """
        found: list[Architecture] = []
        for line in lines:
            try:
                data = json.loads(line)
            except json.JSONDecodeError as error:
                raise SpaceError(f"architecture: is no JSON: {error}") from None
            last = found[-1].space if found else None
            same = last is not None and isinstance(data, Mapping) and data.get("space") == last.definition
            found.append(Architecture.from_json(data, last if same else None))
        return found


def _nearest(word: Any, legal: Any) -> str:
    close = difflib.get_close_matches(str(word), list(legal), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def _genes(genes: Any, space: SearchSpace) -> tuple[int, ...]:
    """Index row of a name -> value mapping; genes that are inactive may be left out."""
    if not isinstance(genes, Mapping):
        raise SpaceError(f"architecture: genes: got {type(genes).__name__}; legal is an object gene -> value")
    row = np.zeros(len(space.choices), GENE)
    for name, value in genes.items():
        if name not in space.index:
            raise SpaceError(f"architecture: genes: unknown gene {name!r}{_nearest(name, space.index)} in {space.name}")
        choice = space.choices[space.index[name]]
        matches = [i for i, v in enumerate(choice.values) if v == value and type(v) is type(value)]
        if not matches:
            raise SpaceError(f"architecture: genes.{name}: got {value!r}; legal: {', '.join(map(repr, choice.values))}")
        row[space.index[name]] = matches[0]
    row = space.canonicalise(row[None])[0]
    for choice, on in zip(space.choices, space.active(row[None])[0], strict=True):
        if on and choice.name not in genes:
            raise SpaceError(
                f"architecture: genes.{choice.name} is missing; legal: {', '.join(map(repr, choice.values))}"
            )
    return tuple(int(v) for v in row)
