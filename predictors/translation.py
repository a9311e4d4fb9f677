"""The same networks in two spaces: rows of genes of the one as rows of the other."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from predictors.errors import PredictorError
from search_spaces.architecture import Architecture
from search_spaces.errors import SpaceError
from search_spaces.space import SearchSpace

CHECKED = 32  # networks of a space that are compared with their translations


class Translation:
    """Rows of ``space`` as rows of ``into``, which has all of its networks: one gather for all rows.

    Genes of one name are taken to mean the same in both; that this makes the same networks is checked on a sample.

    Raises:
        PredictorError: ``into`` lacks a gene or a legal value, or the networks differ.
    """

    def __init__(self, space: SearchSpace, into: SearchSpace) -> None:
        self._into = into
        self._gene = np.zeros(len(space.choices), np.int64)
        self._value = np.zeros((len(space.choices), int(space.cardinalities.max())), np.int16)
        for g, choice in enumerate(space.choices):
            there = into.choices[into.index[choice.name]].values if choice.name in into.index else ()
            for v in space.legal[g]:
                if choice.values[v] not in there:
                    legal = f"{choice.name} one of {', '.join(map(str, there))}" if there else "its genes"
                    raise PredictorError(f"{space.name}: has {choice.name} = {choice.values[v]}; legal: {legal}")
                self._value[g, v] = there.index(choice.values[v])
            self._gene[g] = into.index[choice.name]
        sample = space.sample(CHECKED, np.random.default_rng(0))
        for one, other in zip(sample, self(sample), strict=True):
            if space.architecture(one) != into.architecture(other):
                raise PredictorError(f"{space.name}: its networks are none of {into.definition}, with other sizes")

    def __call__(self, X: NDArray[np.int16]) -> NDArray[np.int16]:
        """(n, G') rows of ``into`` for canonical rows (n, G)."""
        found = np.zeros((len(X), len(self._into.choices)), np.int16)
        found[:, self._gene] = self._value[np.arange(len(self._gene)), X]
        return self._into.canonicalise(found)


def moved(architecture: Architecture, space: SearchSpace) -> Architecture:
    """The same network as an architecture of ``space``. PredictorError where that space has no such network."""
    if architecture.space.definition == space.definition:
        return Architecture(space, architecture.genes)
    try:
        found = Architecture.from_json({"genes": architecture.values}, space)
    except SpaceError as error:
        raise PredictorError(f"architecture {architecture.hash}: is none of {space.definition}: {error}") from None
    if found != architecture:
        raise PredictorError(f"architecture {architecture.hash}: is none of {space.definition}, with other sizes")
    return found
