"""Which operators carry more, or less, together than alone: pairs of mixers that follow one another in a stage.

A sum over single choices (`ImportanceModel`) cannot say it, so pairs are judged by what that sum missed of each score when the
score was left out: a ridge regression of it on how often every pair occurs, its penalty chosen by marginal likelihood
(Rasmussen and Williams, 2006, sections 2.1 and 5.4). AutoBuild (arXiv 2403.13293) scores subgraphs of any size; two in a row
are the longest that some hundreds of evaluations tell apart.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from predictors.threads import one_thread
from search_spaces.space import SearchSpace

Floats = NDArray[np.float64]
SIGNALS = np.geomspace(1e-4, 1.0, 17)  # prior variances of a pair, in that of what was missed
MIXER = re.compile(r"(.*layer)(\d+)\.mixer")


@dataclass(frozen=True)
class Pairs:
    """Attributes: names: K pairs (first, second). effect, error: (K,) what each adds beyond its parts wherever it occurs, with
    its standard error, in units of the score. seen: (K,) in how many rows. left_out: (n,) what is predicted of every miss by
    the others."""

    names: list[tuple[str, str]]
    effect: Floats
    error: Floats
    seen: NDArray[np.int64]
    left_out: Floats


def pair_counts(space: SearchSpace, X: NDArray[np.integer]) -> tuple[list[tuple[str, str]], Floats]:
    """The pairs of mixers that occur in rows (n, G), and how often each occurs in each: (n, K). A space without layers has
    none."""
    layers = {match.groups(): g for name, g in space.index.items() if (match := MIXER.fullmatch(name))}
    active = space.active(X)
    counts: dict[tuple[str, str], Floats] = {}
    for (stage, number), g in layers.items():
        following = layers.get((stage, str(int(number) + 1)))
        if following is None:
            continue
        both = active[:, g] & active[:, following]
        for a in np.unique(X[both, g]):
            for b in np.unique(X[both & (X[:, g] == a), following]):
                name = (str(space.choices[g].values[a]), str(space.choices[following].values[b]))
                here = both & (X[:, g] == a) & (X[:, following] == b)
                counts[name] = counts.get(name, np.zeros(len(X))) + here
    return list(counts), np.column_stack(list(counts.values())) if counts else np.zeros((len(X), 0))


@one_thread
def pair_effects(space: SearchSpace, X: NDArray[np.integer], missed: Floats) -> Pairs:
    """Learn from rows (n, G) and what single choices missed of their scores (n,), each left out of the fit."""
    names, counts = pair_counts(space, X)
    y = missed - missed.mean()
    if not names or not y.any():
        nothing = np.zeros(len(names))
        return Pairs(names, nothing, nothing, (counts > 0).sum(axis=0), np.zeros(len(y)))
    C = counts - counts.mean(axis=0)
    values, vectors = np.linalg.eigh(C @ C.T)
    values, projected = np.maximum(values, 0.0), vectors.T @ y
    best, likeliest = SIGNALS[0], -np.inf
    for signal in SIGNALS:
        spread = signal * values + 1.0
        scale = float((projected**2 / spread).mean())
        likelihood = -0.5 * (len(y) * np.log(scale) + np.log(spread).sum())
        if likelihood > likeliest:
            best, likeliest = signal, likelihood
    spread = best * values + 1.0
    noise = float((projected**2 / spread).mean())
    solved = vectors @ (projected / spread)
    half = (vectors / np.sqrt(spread)).T @ C
    variance = best * noise * (1.0 - best * (half**2).sum(axis=0))
    inverse = (vectors**2) @ (1.0 / spread)
    return Pairs(
        names,
        best * (C.T @ solved),
        np.sqrt(np.maximum(variance, 0.0)),
        (counts > 0).sum(axis=0),
        y - solved / inverse,
    )
