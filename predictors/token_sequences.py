"""Architectures as tokens: one for each operator, with what it is, what it costs, and how it is wired to the others.

A token says the same wherever its operator stands, so what is learnt from the tokens of one space can be used in another
(as in AIO-P, Mills et al., AAAI 2023, arXiv 2211.17228).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from search_spaces.operators.base import FAMILIES, ROLES

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


def code_of(name: str) -> NDArray[np.float64]:
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
