"""Our spaces and searchers in Optuna: any of its samplers on a space of ours, any searcher of ours on a study of anyone's.

    study = optuna.create_study(
        directions=["maximize", "minimize"], storage=..., sampler=SearcherSampler("predictor-nsga2", space)
    )
    study.optimize(lambda trial: measure(suggest_architecture(trial, space)), n_trials=100)

Studies live in Optuna's storages, so several processes and machines share one, and optuna-dashboard shows it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from optuna import Study, Trial
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.search_space import IntersectionSearchSpace
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from nas.errors import JobError
from nas.search.base import Problem, Rows, get_searcher
from predictors import Features, features_of
from predictors.code_features import CodeFeatures
from search_spaces import Architecture, SearchSpace
from search_spaces.space import Choice, row_keys

HORIZON = 10_000  # evaluations that a searcher plans for: a study says not how many there will be


def suggest_architecture(trial: Trial, space: SearchSpace) -> Architecture:
    """An architecture of ``space``: every active gene, parents first, is a categorical parameter of the trial."""
    row = np.zeros(len(space.choices), np.int16)
    for g, choice in enumerate(space.choices):
        if space.active(row[None])[0, g]:
            row[g] = choice.values.index(trial.suggest_categorical(choice.name, _legal(space, g)))
    return space.architecture(row)


class SearcherSampler(BaseSampler):
    """An Optuna sampler that asks one of our searchers, given all that the study knows.

    Every trial is asked for anew from the finished ones, and from the running ones that none is asked twice: nothing is kept
    between trials, so processes that share a study need nothing of each other. Parameters that our searchers do not know
    (floats, and those that not every trial has) are drawn at random.

    Args:
        searcher: its name; see `searcher_names`.
        space: what `suggest_architecture` draws from; if none, the categorical and integer parameters that all trials share.
        population: of those that breed.
        seed: of the searcher, with the number of the trial.
    """

    def __init__(
        self, searcher: str = "predictor-nsga2", space: SearchSpace | None = None, population: int = 20, seed: int = 0
    ) -> None:
        get_searcher(searcher)
        if population < 1:
            raise JobError(f"population: must be at least 1, got {population}")
        self._searcher, self._space, self._population, self._seed = searcher, space, population, seed
        self._shared = IntersectionSearchSpace()
        self._random = RandomSampler(seed)

    @cached_property
    def _features(self) -> Features:
        """Of ``space``: the same for every trial."""
        assert self._space is not None
        return features_of(self._space)

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """See `optuna.samplers.BaseSampler`."""
        if self._space is not None:
            return {
                choice.name: CategoricalDistribution(_legal(self._space, g))
                for g, choice in enumerate(self._space.choices)
            }
        found = self._shared.calculate(study)
        return {name: kind for name, kind in found.items() if _values(kind) is not None and not kind.single()}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """See `optuna.samplers.BaseSampler`; without the genes that are inactive in what is asked for."""
        if not search_space:
            return {}
        space = self._space or _plain(search_space)
        problem = Problem(
            space,
            HORIZON,
            self._population,
            tuple(f"objective{i}" for i in range(len(study.directions))),
            seed=int(np.random.default_rng([self._seed, trial.number]).integers(2**31)),
            batch=1,
            encoding=CodeFeatures([int(n) for n in space.cardinalities]) if self._space is None else self._features,
        )
        search = get_searcher(self._searcher)(problem)
        trials = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.RUNNING))
        known = [(t, row) for t in trials if t.number != trial.number and (row := row_of(t, space)) is not None]
        done = [(row, t.values) for t, row in known if t.state is TrialState.COMPLETE]
        if done:
            signs = [1.0 if way is StudyDirection.MINIMIZE else -1.0 for way in study.directions]
            F = np.array([values for _, values in done], dtype=np.float64) * signs
            X = np.stack([row for row, _ in done])
            _, first = np.unique(X, axis=0, return_index=True)  # other samplers may have asked for a row twice
            search.tell(X[np.sort(first)], F[np.sort(first)])
        search.seen.update(key for t, row in known if t.state is TrialState.RUNNING for key in row_keys(row[None]))
        rows = search.ask(1)
        row = rows[0] if len(rows) else space.sample(1, search.rng)[0]  # all were asked: Optuna has no end of its own
        active = space.active(row[None])[0]
        return {choice.name: choice.values[row[g]] for g, choice in enumerate(space.choices) if active[g]}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """See `optuna.samplers.BaseSampler`: at random."""
        return self._random.sample_independent(study, trial, param_name, param_distribution)

    def reseed_rng(self) -> None:
        """See `optuna.samplers.BaseSampler`."""
        self._random.reseed_rng()


def _legal(space: SearchSpace, gene: int) -> list[Any]:
    return [space.choices[gene].values[i] for i in space.legal[gene]]


def _values(kind: BaseDistribution) -> Sequence[Any] | None:
    """The values of a parameter that can be a gene; None of others."""
    if isinstance(kind, CategoricalDistribution):
        return kind.choices
    if isinstance(kind, IntDistribution) and not kind.log and (kind.high - kind.low) // kind.step < 1000:
        return range(kind.low, kind.high + 1, kind.step)
    return None


def _plain(search_space: dict[str, BaseDistribution]) -> SearchSpace:
    return SearchSpace(
        "study", {}, [Choice(name, tuple(_values(kind) or ())) for name, kind in search_space.items()], ()
    )


def row_of(trial: FrozenTrial, space: SearchSpace) -> Rows | None:
    """The row (G,) of a trial; None where it has no value for an active gene, or one that is none of the space's."""
    row = np.zeros(len(space.choices), np.int16)
    for g, choice in enumerate(space.choices):
        if choice.name in trial.params:
            if trial.params[choice.name] not in choice.values:
                return None
            row[g] = choice.values.index(trial.params[choice.name])
    missing = [choice.name not in trial.params for choice in space.choices]
    return None if (space.active(row[None])[0] & missing).any() else row
