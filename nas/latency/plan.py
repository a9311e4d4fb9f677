"""What a latency table measures of a space: operators to begin with, and whole networks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nas.latency.probes import choose_operators
from search_spaces import Architecture, OperatorSpec, SearchSpace, macs

REFERENCE = 300  # networks whose expected error chooses the probes: a few hundred meet every operator often


@dataclass(frozen=True)
class ProfilePlan:
    """What a table measures.

    operators: measured first. most: operator specs in all; the others are chosen by what the first ones tell
    (`next_probes`). fit, validate: whole networks for the table's correction and for its validation. reference: networks
    that are not measured: the expected error of their sums is what the probes lower.
    """

    operators: list[OperatorSpec]
    most: int
    fit: list[Architecture]
    validate: list[Architecture]
    reference: list[Architecture]


def plan_profile(space: SearchSpace, operators: int, fit: int, validate: int, seed: int = 0) -> ProfilePlan:
    """The plan for ``space``: at most ``operators`` specs, ``fit`` and ``validate`` different whole networks.

    Raises:
        JobError: the space has more than ``operators`` operators.
    """
    networks = choose_networks(space, fit + validate, np.random.default_rng([seed, 5]))
    roles = np.random.default_rng([seed, 6]).permutation(len(networks))
    chosen = [networks[i] for i in roles]
    specs = space.specs()
    first = operators if operators >= len(specs) else max(operators // 3, len({spec.name for spec in specs}))
    return ProfilePlan(
        choose_operators(specs, min(first, operators)),
        min(operators, len(specs)),
        chosen[:fit],
        chosen[fit:],
        choose_networks(space, REFERENCE, np.random.default_rng([seed, 7])),
    )


def choose_networks(space: SearchSpace, count: int, rng: np.random.Generator) -> list[Architecture]:
    """``count`` different architectures, evenly spread over the logarithm of their MACs: random ones alone would crowd in
    the middle, while a search works at the fast end."""
    rows = np.unique(np.concatenate([space.sample(40 * count, rng), space.smallest(space.sample(count, rng))]), axis=0)
    work = np.log(space.additive(macs).score(rows))
    order = np.argsort(work, kind="stable")
    wanted = np.linspace(work[order[0]], work[order[-1]], count)
    taken: list[int] = []
    free = np.ones(len(rows), bool)
    for value in wanted:
        nearest = int(np.where(free, np.abs(work - value), np.inf).argmin())
        free[nearest] = False
        taken.append(nearest)
    return [space.architecture(rows[i]) for i in taken]
