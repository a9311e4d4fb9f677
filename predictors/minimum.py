"""The row of a space with the smallest score, by evolution and then descent over one-gene neighbours."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from search_spaces.space import SearchSpace

Rows = NDArray[np.int16]


def minimise(
    space: SearchSpace,
    score: Callable[[Rows], NDArray[np.float64]],
    rng: np.random.Generator,
    *,
    generations: int = 30,
    stop_at: float = -np.inf,
) -> tuple[Rows, float]:
    """Row (G,) with the smallest ``score`` found and that score; a cheap upper bound on the true minimum.

    ``score`` maps rows (n, G) to (n,). The 32 best of 256 random rows and their copies with all sizes at their
    smallest evolve by mutation and crossover for ``generations``, then the best one descends to its best neighbour
    until none is better. Ends early once ``stop_at`` is reached. Bounded: at most about 8,000 scores and 200 steps of
    descent.
    """
    X = space.sample(256, rng)
    X = np.concatenate((X, space.smallest(X)))
    values = np.asarray(score(X), dtype=np.float64)
    for _ in range(generations):
        best = np.argsort(values, kind="stable")[:32]
        X, values = X[best], values[best]
        if values[0] <= stop_at:
            return X[0], float(values[0])
        parents = np.repeat(X, 8, axis=0)
        partners = X[rng.integers(len(X), size=len(parents))]
        children = space.mutate(space.crossover(parents, partners, rng), rng)
        X, values = (
            np.concatenate((X, children)),
            np.concatenate((values, np.asarray(score(children), dtype=np.float64))),
        )
    row, value = X[int(np.argmin(values))], float(values.min())
    for _ in range(200):
        near = space.neighbours(row)
        if len(near) == 0 or value <= stop_at:
            break
        found = np.asarray(score(near), dtype=np.float64)
        if found.min() >= value:
            break
        row, value = near[int(np.argmin(found))], float(found.min())
    return row, value
