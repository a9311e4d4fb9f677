"""How fast the search engine is: candidates scored, and candidates through the whole NSGA-II loop, a second."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from nas.bench.outside_searchers import OUTSIDE
from nas.errors import JobError
from nas.search import Problem
from nas.search.nsga2 import evolve
from nas.search.problem import Floats, Rows
from search_spaces import OperatorSpec, SearchSpace
from search_spaces.space import Choice, Slot

SECONDS = 2.0  # each figure is the median over rounds that take about this long together


def plain_space(genes: int, choices: int) -> SearchSpace:
    """A space of so many independent genes; each chooses among as many operators."""

    def slot(gene: int) -> Slot:
        name = f"gene{gene}"
        return Slot(name, (name,), lambda value: OperatorSpec.of("identity", (1,), gene=gene, value=value))

    names = [Choice(f"gene{gene}", tuple(range(choices))) for gene in range(genes)]
    return SearchSpace("plain", {}, names, [slot(gene) for gene in range(genes)])


def additive_objectives(space: SearchSpace, rng: np.random.Generator) -> Callable[[Rows], Floats]:
    """Two sums over operators with random values: (n, G) rows -> (n, 2)."""
    sums = [space.additive(lambda spec: rng.random()) for _ in range(2)]
    return lambda X: np.column_stack([one.score(X) for one in sums])


def bench_engine(genes: int, choices: int, population: int, generations: int, seed: int) -> dict[str, Any]:
    """score_per_s: rows of a population of 100,000 scored in two additive objectives. nsga2_per_s: candidates that NSGA-II
    breeds, checks for repeats, scores and sorts, from the first random population on. The same of pymoo and Optuna where
    they are installed, on the same objectives, in the same process."""
    if min(genes, choices) < 2:
        raise JobError(f"--genes, --choices: got {genes} and {choices}; legal: from 2")
    space = plain_space(genes, choices)
    rng = np.random.default_rng(seed)
    objectives = additive_objectives(space, rng)
    rows = space.sample(100_000, rng)
    found: dict[str, Any] = {"genes": genes, "choices": choices, "population": population, "generations": generations}
    found["score_per_s"] = len(rows) / _seconds(lambda: objectives(rows))

    def search() -> int:
        problem = Problem(space, population * (generations + 1), population, ("a", "b"))
        start = space.sample(population, rng)
        return len(evolve(problem, start, objectives, rng, population=population, generations=generations)[0])

    found["nsga2_per_s"] = search() / _seconds(search)
    for name in ("pymoo-nsga2", "optuna-nsga2"):
        if OUTSIDE[name].installed:
            found[name.replace("-", "_") + "_per_s"] = _outside(name, space, objectives, population, seed)
    return found


def _outside(name: str, space: SearchSpace, objectives: Callable[[Rows], Floats], population: int, seed: int) -> float:
    """Candidates a second of another package's searcher, over about `SECONDS`."""
    began = time.perf_counter()
    answers = _Clock(objectives, began + SECONDS)
    most = [int(count) - 1 for count in space.cardinalities]
    OUTSIDE[name].run(answers, most, 2, population, seed)
    return answers.count / (time.perf_counter() - began)


class _Clock:
    """Answers until a time is reached, and counts."""

    def __init__(self, objectives: Callable[[Rows], Floats], until: float) -> None:
        self._objectives, self._until = objectives, until
        self.count = 0

    @property
    def spent(self) -> bool:
        return time.perf_counter() >= self._until

    def __call__(self, X: np.ndarray) -> Floats:
        self.count += len(X)
        return self._objectives(np.asarray(X).round().astype(np.int16))


def _seconds(work: Callable[[], object]) -> float:
    """Median seconds of one call."""
    work()
    times: list[float] = []
    while sum(times) < SECONDS or len(times) < 3:
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return float(np.median(times))
