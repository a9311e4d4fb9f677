"""Our spaces and searchers in Optuna: any of its samplers on a space of ours, any searcher of ours on a study of anyone's.

    study = optuna.create_study(
        directions=["maximize", "minimize"], storage=..., sampler=SearcherSampler("predictor-nsga2", space)
    )
    study.optimize(lambda trial: measure(suggest_architecture(trial, space)), n_trials=100)

Studies live in Optuna's storages, so several processes and machines share one, and optuna-dashboard shows it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from optuna import Study, Trial
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.search_space import IntersectionSearchSpace
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from nas.search.problem import Rows
from nas.search.proposal import MOST_VALUES, Proposer, check, plain_space, row_of_values
from search_spaces import Architecture, SearchSpace


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
        check(searcher, population)
        self._searcher, self._space, self._population, self._seed = searcher, space, population, seed
        self._ours = None if space is None else Proposer(searcher, space, population, seed)  # the same for every trial
        self._shared = IntersectionSearchSpace()
        self._random = RandomSampler(seed)

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
        proposer = self._ours or Proposer(self._searcher, _plain(search_space), self._population, self._seed)
        space = proposer.space
        trials = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.RUNNING))
        known = [(t, row) for t in trials if t.number != trial.number and (row := row_of(t, space)) is not None]
        done = [(row, t.values) for t, row in known if t.state is TrialState.COMPLETE]
        running = [row for t, row in known if t.state is TrialState.RUNNING]
        signs = [1.0 if way is StudyDirection.MINIMIZE else -1.0 for way in study.directions]
        F = np.array([values for _, values in done], dtype=np.float64).reshape(len(done), len(signs)) * signs
        X, taken = (
            np.array(rows, np.int16).reshape(-1, len(space.choices)) for rows in ([r for r, _ in done], running)
        )
        row = proposer.row(trial.number, X, F, taken)
        if row is None:  # all were asked: Optuna has no end of its own
            row = space.sample(1, np.random.default_rng([self._seed, trial.number]))[0]
        return space.architecture(row).values

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
    if isinstance(kind, IntDistribution) and not kind.log and (kind.high - kind.low) // kind.step < MOST_VALUES:
        return range(kind.low, kind.high + 1, kind.step)
    return None


def _plain(search_space: dict[str, BaseDistribution]) -> SearchSpace:
    return plain_space("study", {name: tuple(_values(kind) or ()) for name, kind in search_space.items()})


def row_of(trial: FrozenTrial, space: SearchSpace) -> Rows | None:
    """The row (G,) of a trial; None where it has no value for an active gene, or one that is none of the space's."""
    return row_of_values(trial.params, space)
