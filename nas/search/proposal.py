"""The next row of a search that somebody else drives: asked for from all that is known, nothing kept between calls.

Optuna and Ray Tune drive searches so; see `optuna_sampler` and `tune`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from nas.errors import JobError
from nas.search.base import get_searcher, searcher_names
from nas.search.problem import Floats, Problem, Rows
from predictors import Features, features_of
from predictors.code_features import CodeFeatures
from search_spaces import SearchSpace
from search_spaces.space import Choice, row_keys

HORIZON = 10_000  # evaluations that a searcher plans for where nobody says how many there will be
MOST_VALUES = 1000  # of a range of integers that is a gene


@dataclass(frozen=True)
class Proposer:
    """Asks one of our searchers for one row at a time.

    Attributes:
        searcher: its name; see `searcher_names`.
        space: of the rows.
        population: of those that breed.
        seed: of the searcher, with the number of the proposal.
        evaluations: how many the searcher plans for.

    Raises:
        JobError: see `check`.
    """

    searcher: str
    space: SearchSpace
    population: int
    seed: int
    evaluations: int = HORIZON

    def __post_init__(self) -> None:
        check(self.searcher, self.population)

    @cached_property
    def _features(self) -> Features:
        plain = not self.space.slots  # choices that say nothing of a network
        return CodeFeatures([int(n) for n in self.space.cardinalities]) if plain else features_of(self.space)

    def row(self, number: int, X: Rows, F: Floats, taken: Rows) -> Rows | None:
        """The row (G,) to evaluate next; None where the space has none that is new.

        Args:
            number: of this proposal, from 0.
            X: (n, G) what was evaluated, in order; of a row that comes twice the first counts.
            F: (n, m) its objectives, all to be minimised.
            taken: (k, G) other rows that are not to be proposed: they are being evaluated, or failed.
        """
        objectives = tuple(f"objective{i}" for i in range(F.shape[1]))
        seed = int(np.random.default_rng([self.seed, number]).integers(2**31))
        evaluations = max(self.evaluations, len(X) + 1)
        problem = Problem(
            self.space, evaluations, self.population, objectives, seed=seed, batch=1, encoding=self._features
        )
        search = get_searcher(self.searcher)(problem)
        if len(X):
            _, first = np.unique(X, axis=0, return_index=True)
            search.tell(X[np.sort(first)], F[np.sort(first)])
        if len(taken):
            search.seen.update(row_keys(taken))
        rows = search.ask(1)
        return rows[0] if len(rows) else None


def check(searcher: str, population: int) -> None:
    """JobError for an unknown searcher, one that asks for evaluations on part of the examples, or a population below 1."""
    get_searcher(searcher)
    whole = searcher_names()
    if any(part.partition(":")[0] not in whole for part in searcher.split("+")):
        raise JobError(
            f"searcher: {searcher!r} asks for evaluations on part of the examples, which only `nas search` gives; "
            f"legal: {', '.join(whole)}, or several, joined by +"
        )
    if population < 1:
        raise JobError(f"population: must be at least 1, got {population}")


def plain_space(name: str, values: Mapping[str, tuple[Any, ...]]) -> SearchSpace:
    """A space of independent choices, of nothing in particular; one with no choice is refused by `SearchSpace`."""
    return SearchSpace(name, {}, [Choice(gene, legal) for gene, legal in values.items()], ())


def row_of_values(values: Mapping[str, Any], space: SearchSpace) -> Rows | None:
    """The row (G,) of values by gene; None where an active gene has none, or one that is none of the space's."""
    row = np.zeros(len(space.choices), np.int16)
    for g, choice in enumerate(space.choices):
        if choice.name in values:
            if values[choice.name] not in choice.values:
                return None
            row[g] = choice.values.index(values[choice.name])
    missing = [choice.name not in values for choice in space.choices]
    return None if (space.active(row[None])[0] & missing).any() else row
