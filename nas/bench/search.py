"""Any searcher on any table of architectures: what it finds for so many queries, against the whole table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any

import numpy as np
import pandas as pd

from nas.bench.accuracy_predictor import summary
from nas.bench.outside_searchers import OUTSIDE, outside_search
from nas.bench.table_space import Floats, TableFeatures, TableSpace, table_space
from nas.bench.tabular import Tabular
from nas.errors import JobError
from nas.progress import Progress
from nas.search import Problem, drive, get_searcher, pareto, searcher_names
from predictors.encoding import Features


@dataclass(frozen=True)
class SearchTask:
    """What is searched for.

    Attributes:
        maximize, minimize: columns that a query tells; at least one.
        report: the column that judges the row with the best query, where there is one objective (itself if none).
        budgets: queries, ascending: one search to the largest is read at each of them.
        population: of those that breed. batch: rows asked for at once.
        resolution: of the objectives in their order, in their units; 0: none. What differs by less ranks as equal.
    """

    maximize: tuple[str, ...]
    minimize: tuple[str, ...]
    report: str | None
    budgets: tuple[int, ...]
    population: int = 20
    batch: int = 2
    resolution: tuple[float, ...] = ()

    @property
    def objectives(self) -> int:
        """How many."""
        return len(self.maximize) + len(self.minimize)


@dataclass(frozen=True)
class Arena:
    """A table ready to be searched: the objectives F (rows, m) of its rows, all minimised, and what is reported (rows,)."""

    space: TableSpace
    F: Floats
    report: Floats
    features: Features


def arena(table: Tabular, task: SearchTask) -> Arena:
    """Reads the task's columns. JobError names what is illegal."""
    if task.objectives == 0:
        raise JobError("--maximize: is missing; legal: columns to maximize here, or to minimize in --minimize")
    if task.report is not None and task.objectives > 1:
        raise JobError("--report: is for one objective; with more, the missing share of the hypervolume is reported")
    if task.resolution and (
        len(task.resolution) != task.objectives or not all(0 <= width < np.inf for width in task.resolution)
    ):
        raise JobError(
            f"--resolution: got {', '.join(f'{width:g}' for width in task.resolution)}; legal: {task.objectives} numbers, "
            "one for each objective, of at least 0"
        )
    columns = [-table.values(column, "--maximize") for column in task.maximize]
    columns += [table.values(column, "--minimize") for column in task.minimize]
    reported = task.report or (*task.maximize, *task.minimize)[0]
    judge = table.values(reported, "--report")
    names = [f"gene{i}" for i in range(table.codes.shape[1])]
    space, values = table_space("table", names, table.codes, np.column_stack((*columns, judge)))
    if max(task.budgets) > len(values):
        raise JobError(f"--budget: got {max(task.budgets)}; legal: at most the {len(values)} rows of the table")
    return Arena(space, values[:, :-1], values[:, -1], TableFeatures(table.features, space))


def bench_search(
    table: Tabular, task: SearchTask, searchers: Sequence[str], seeds: int, workers: int, progress: Progress
) -> pd.DataFrame:
    """A row for each searcher and budget, mean and standard deviation over the seeds.

    With one objective: report, of the row that was best by what the queries told, and best, what these told. With more:
    missing_hypervolume, the share of the hypervolume of the whole table that the queried rows do not reach; every objective
    is scaled to [0, 1] over the table, and the worst corner is the reference. Queries of one row twice count once.

    Raises:
        JobError: a column, searcher or budget is illegal.
    """
    legal = [*searcher_names(), *OUTSIDE]
    for name in searchers:
        if "+" in name:
            get_searcher(name)  # a chain: says what is illegal in it
        elif name not in legal:
            raise JobError(f"--searchers: got {name!r}; legal: {', '.join(legal)}; or several, joined by +")
        if name in OUTSIDE:
            OUTSIDE[name].require()
    field = arena(table, task)
    jobs = [(name, seed) for seed in range(seeds) for name in searchers]
    advance = progress.task("search", len(jobs))
    found = []
    for done, rows in enumerate(_spread(field, task, jobs, workers)):
        found += rows
        advance(done + 1)
    return summary(pd.DataFrame(found), ["searcher", "budget"])


def one_search(field: Arena, task: SearchTask, searcher: str, seed: int) -> list[dict[str, Any]]:
    """The figures of one search at each budget."""
    if searcher in OUTSIDE:
        places = outside_search(searcher, field.space, field.F, max(task.budgets), task.population, seed)
    else:
        search = drive(problem_of(field, task, seed), searcher, lambda X: field.F[field.space.place(X)])
        places = field.space.place(search.X)
    curves = figures(field, task, places)
    return [
        {"searcher": searcher, "budget": budget, "seed": seed}
        | {name: float(values[min(budget, len(values)) - 1]) for name, values in curves.items()}
        for budget in task.budgets
    ]


def problem_of(field: Arena, task: SearchTask, seed: int) -> Problem:
    """What a searcher of ours is told."""
    asked = tuple(f"objective{i}" for i in range(task.objectives))
    return Problem(
        field.space,
        max(task.budgets),
        task.population,
        asked,
        resolution={name: width for name, width in zip(asked, task.resolution, strict=False) if width > 0},
        seed=seed,
        batch=task.batch,
        encoding=field.features,
    )


def figures(field: Arena, task: SearchTask, places: np.ndarray) -> dict[str, Floats]:
    """Name -> (n,) after 1, 2, ... of the rows queried, which are the table's at ``places`` (n,); see `bench_search`."""
    if task.objectives > 1:
        return {"missing_hypervolume": _missing(field.F, places)}
    told = field.F[places, 0]
    best = places[np.array([int(np.argmin(told[: i + 1])) for i in range(len(told))])]
    sign = -1.0 if task.maximize else 1.0
    return {"report": field.report[best], "best": sign * field.F[best, 0]}


def _missing(F: Floats, places: np.ndarray) -> Floats:
    """(n,) share of the whole hypervolume that the first 1, 2, ... rows queried do not reach."""
    low, spread = F.min(axis=0), np.ptp(F, axis=0)
    scaled = (F - low) / np.where(spread > 0, spread, 1.0)
    corner = np.ones(F.shape[1])
    return 1.0 - pareto.hypervolume_curve(scaled[places], corner) / pareto.hypervolume(scaled, corner)


def _spread(
    field: Arena, task: SearchTask, jobs: list[tuple[str, int]], workers: int
) -> Iterator[list[dict[str, Any]]]:
    """The searches, in ``workers`` processes, in the order of ``jobs``."""
    if min(workers, len(jobs)) == 1:
        yield from (one_search(field, task, name, seed) for name, seed in jobs)
        return
    with ProcessPoolExecutor(workers, get_context("spawn"), _start, (field, task)) as pool:
        yield from pool.map(_one, *zip(*jobs, strict=True))


_field: tuple[Arena, SearchTask]  # of a worker process: set once, when it starts


def _start(field: Arena, task: SearchTask) -> None:
    global _field
    _field = field, task


def _one(searcher: str, seed: int) -> list[dict[str, Any]]:
    return one_search(*_field, searcher, seed)
