"""What a choice carries with all that follows from it: shares of the terms of an `ImportanceModel`, pooled over alike places.

An operator comes with its sizes, and a depth with the layers that it adds: a choice counts with the mean of what it activates,
every value alike. That is what the score changes by, on average over the space, when the choice is made.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from search_spaces.space import SearchSpace

Floats = NDArray[np.float64]
Terms = tuple[tuple[int, int], ...]
NUMBERS = r"\d+(?=\.|$)"  # of stages and layers; those inside the names of operators stay


@dataclass(frozen=True)
class Pool:
    """One value of alike genes.

    Attributes:
        gene: their name, ``*`` for the numbers that differ. value: which of their values.
        places: the terms (gene, value) that it stands for.
        shares: (T,) of the terms, for `ImportanceModel.sums`: the mean over the places of what the value carries beyond the
            mean value of its gene.
    """

    gene: str
    value: object
    places: Terms
    shares: Floats


def pools(space: SearchSpace, terms: Terms, within_stages: bool = False) -> list[Pool]:
    """Every value of the genes that have a choice, in the order of the space; those of layers pooled over the whole network, or
    over the layers of each stage."""
    carried = _carried(space, terms)
    found: dict[tuple[str, object], list[tuple[tuple[int, int], Floats]]] = {}
    for g, choice in enumerate(space.choices):
        if len(space.legal[g]) < 2:
            continue
        own = np.stack([carried[g, int(v)] for v in space.legal[g]])
        first, _, rest = choice.name.partition(".")
        place = first if within_stages or not re.search(NUMBERS, rest) else re.sub(NUMBERS, "*", first)
        name = f"{place}.{re.sub(NUMBERS, '*', rest)}" if rest else place
        for v, shares in zip(space.legal[g], own - own.mean(axis=0), strict=True):
            found.setdefault((name, choice.values[v]), []).append(((g, int(v)), shares))
    return [
        Pool(name, value, tuple(term for term, _ in places), np.mean([shares for _, shares in places], axis=0))
        for (name, value), places in found.items()
    ]


def _carried(space: SearchSpace, terms: Terms) -> dict[tuple[int, int], Floats]:
    """(gene, value) -> (T,): its own term, and the mean over the values of every gene that it activates."""
    place = {term: t for t, term in enumerate(terms)}
    children: dict[int, list[int]] = {}
    for g, choice in enumerate(space.choices):
        if choice.when is not None:
            children.setdefault(space.index[choice.when[0]], []).append(g)
    found: dict[tuple[int, int], Floats] = {}
    for g in reversed(range(len(space.choices))):  # parents come before their children
        for v in map(int, space.legal[g]):
            shares = np.zeros(len(terms))
            shares[place[g, v]] = 1.0
            for child in children.get(g, ()):
                if space.choices[g].values[v] in space.choices[child].when[1]:  # type: ignore[index]
                    shares += np.mean([found[child, int(u)] for u in space.legal[child]], axis=0)
            found[g, v] = shares
    return found
