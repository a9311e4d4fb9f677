"""Ways in which the latency on a new device may follow from what known devices and operators say: priors of a process."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Parts = tuple[Floats, Floats, list[Floats]]  # of n rows: bases (n, 1 + S), the differences (n, k), blocks (n, F)
COMMON = 0  # the base that all known devices have in common; base 1 + s is known device s
COMPONENTS = 8  # ways in which devices differ


@dataclass(frozen=True)
class Way:
    """Prior variances of one base, of how known devices differ, and of operators; which base, and which block of these."""

    trust: float
    differing: float
    operators: float
    block: int
    base: int = COMMON


def ways(blocks: int, devices: int, near: int) -> list[Way]:
    """The ways that are averaged over.

    The new device is what all known ones have in common and some of how they differ, and each operator has a cost of its own,
    as any of the ``blocks`` says; or it is close to one of the known ``devices`` (another setting or generation of it), and
    differs from it by operators of the block ``near``; or known devices mislead, and operators are all there is.
    """
    shared = [
        Way(1.0, differing, own, block)
        for differing, own, block in itertools.product((0.03, 0.1, 0.3), (0.0, 0.03, 0.1, 0.3), range(blocks))
        if own > 0 or block == 0
    ]
    alike = [
        Way(1.0, differing, own, near, 1 + device)
        for device, differing, own in itertools.product(range(devices), (0.01, 0.03, 0.1), (0.0, 0.01, 0.03, 0.1))
    ]
    alone = [Way(0.0, 0.0, 1.0, block) for block in range(blocks)]
    return shared + alike + alone + [Way(0.3, 0.3, 0.3, block) for block in range(blocks)]


class Products:
    """Products of the parts of rows (n) and others (m), of which the covariance of every way is a weighted sum: they are made
    once, not for each way."""

    def __init__(self, rows: Parts, others: Parts) -> None:
        (self._bases, differing, blocks), (self._others, differing_, blocks_) = rows, others
        self._differing = differing @ differing_.T
        self._differing_own = (differing**2).sum(axis=1)
        self._blocks = [block @ block_.T for block, block_ in zip(blocks, blocks_, strict=True)]
        self._blocks_own = [np.einsum("nk,nk->n", block, block) for block in blocks]

    def between(self, way: Way) -> Floats:
        """(n, m) prior covariances."""
        base = np.outer(way.trust * self._bases[:, way.base], self._others[:, way.base])
        return np.asarray(base + way.differing * self._differing + way.operators * self._blocks[way.block])

    def own(self, way: Way) -> Floats:
        """(n,) prior variances of the rows."""
        base = way.trust * self._bases[:, way.base] ** 2
        return np.asarray(base + way.differing * self._differing_own + way.operators * self._blocks_own[way.block])


def vectors(parts: Parts, way: Way) -> Floats:
    """(n, k) whose products are the way's prior covariance."""
    bases, differing, blocks = parts
    columns = [np.sqrt(way.trust) * bases[:, [way.base]], np.sqrt(way.differing) * differing]
    return np.concatenate([*columns, np.sqrt(way.operators) * blocks[way.block]], axis=1)


class Shape:
    """What scaled devices (n, S) have in common, and the ways in which they differ, largest first."""

    def __init__(self, scaled: Floats) -> None:
        common = scaled.mean(axis=1)
        self._spread = float(common.std()) or 1.0
        common = common / self._spread
        self._share = (scaled * common[:, None]).mean(axis=0)
        rest = scaled - np.outer(common, self._share)
        self._centre = rest.mean(axis=0)
        _, values, directions = np.linalg.svd(rest - self._centre, full_matrices=False)
        kept = min(COMPONENTS, max(scaled.shape[1] - 1, 0))
        sizes = values[:kept] / max(values[:kept].sum(), 1e-12)
        scales = np.sqrt(len(scaled) * sizes) / np.maximum(values[:kept], 1e-12)
        self._directions = directions[:kept].T * scales

    def __call__(self, scaled: Floats) -> tuple[Floats, Floats]:
        """Bases (n, 1 + S), what is common and then each device; and how they differ (n, k)."""
        common = scaled.mean(axis=1) / self._spread
        rest = scaled - np.outer(common, self._share) - self._centre
        return np.column_stack([common, scaled]), rest @ self._directions
