"""Searchers of other packages on a table, for comparison: pymoo's NSGA-II, Optuna's NSGA-II and TPE.

They may ask for a row again. Such a query is answered for nothing, so that they are not worse for it.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from nas.bench.table_space import Codes, Floats, TableSpace
from nas.errors import JobError

PATIENCE = 20  # asks a row of the budget, after which a searcher that only repeats itself is stopped


class Oracle(Protocol):
    """Answers rows (n, G) with objectives (n, m), all minimised, until it is spent."""

    @property
    def spent(self) -> bool: ...

    def __call__(self, X: np.ndarray) -> Floats: ...


class Answers:
    """What a table answers: rows (G,) of codes -> objectives (m,), and which rows were queried, in order."""

    def __init__(self, space: TableSpace, F: Floats, budget: int) -> None:
        self._space, self._F, self._budget = space, F, budget
        self.places: dict[int, None] = {}
        self._asked = 0

    @property
    def spent(self) -> bool:
        """Whether the budget is spent, or nothing new comes."""
        return len(self.places) >= self._budget or self._asked >= PATIENCE * self._budget

    def __call__(self, X: np.ndarray) -> Floats:
        """(n, G) -> (n, m)."""
        X = np.asarray(X).round().astype(np.int64)
        self._asked += len(X)
        rows = X if self._space.whole else self._space.nearest(X, np.random.default_rng(0), None)
        places = self._space.place(rows)
        for place in places:
            if len(self.places) < self._budget:
                self.places.setdefault(int(place))
        return self._F[places]


@dataclass(frozen=True)
class Outside:
    """A searcher of another package. run: (answers, most code of each gene, objectives, population, seed)."""

    package: str
    run: Callable[[Oracle, list[int], int, int, int], None]

    @property
    def installed(self) -> bool:
        """Whether the package is there."""
        return importlib.util.find_spec(self.package) is not None

    def require(self) -> None:
        """JobError where the package is not installed."""
        if not self.installed:
            raise JobError(f"--searchers: {self.package} is not installed; `pip install {self.package}` adds it")


def outside_search(name: str, space: TableSpace, F: Floats, budget: int, population: int, seed: int) -> Codes:
    """(n,) the rows of the table that the searcher queried, in order, up to ``budget``."""
    answers = Answers(space, F, budget)
    OUTSIDE[name].run(answers, [int(count) - 1 for count in space.cardinalities], F.shape[1], population, seed)
    return np.array(list(answers.places), np.int64)


def _pymoo(answers: Oracle, most: list[int], objectives: int, population: int, seed: int) -> None:
    from pymoo.algorithms.moo.nsga2 import NSGA2
    from pymoo.core.problem import Problem
    from pymoo.operators.crossover.ux import UniformCrossover
    from pymoo.operators.mutation.pm import PM
    from pymoo.operators.repair.rounding import RoundingRepair
    from pymoo.operators.sampling.rnd import IntegerRandomSampling

    problem = Problem(n_var=len(most), n_obj=objectives, xl=0, xu=np.array(most), vtype=int)
    algorithm = NSGA2(
        pop_size=population,
        sampling=IntegerRandomSampling(),
        crossover=UniformCrossover(prob=0.9, repair=RoundingRepair()),
        mutation=PM(prob_var=1 / len(most), eta=3.0, vtype=float, repair=RoundingRepair()),
        eliminate_duplicates=True,
    )
    algorithm.setup(problem, termination=("n_gen", 10**6), seed=seed, verbose=False)
    while not answers.spent and algorithm.has_next():
        asked = algorithm.ask()
        if asked is None or len(asked) == 0:
            break
        asked.set("F", answers(asked.get("X")))
        algorithm.tell(infills=asked)


def _optuna(sampler: str) -> Callable[[Oracle, list[int], int, int, int], None]:
    def run(answers: Oracle, most: list[int], objectives: int, population: int, seed: int) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        if sampler == "nsga2":
            chosen: optuna.samplers.BaseSampler = optuna.samplers.NSGAIISampler(population_size=population, seed=seed)
        else:
            chosen = optuna.samplers.TPESampler(seed=seed)
        study = optuna.create_study(directions=["minimize"] * objectives, sampler=chosen)
        space: dict[str, optuna.distributions.BaseDistribution] = {
            f"gene{i}": optuna.distributions.CategoricalDistribution(range(top + 1)) for i, top in enumerate(most)
        }
        while not answers.spent:
            trial = study.ask(space)
            row = np.array([[trial.params[name] for name in space]])
            study.tell(trial, list(answers(row)[0]))

    return run


OUTSIDE = {
    "pymoo-nsga2": Outside("pymoo", _pymoo),
    "optuna-nsga2": Outside("optuna", _optuna("nsga2")),
    "optuna-tpe": Outside("optuna", _optuna("tpe")),
}
