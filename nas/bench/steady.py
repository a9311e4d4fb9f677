"""Claim: asking for the next batch before the last one is known keeps many workers busy, and costs little of what is found."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from nas.bench.accuracy_predictor import summary
from nas.bench.search import Arena, SearchTask, arena, figures, problem_of
from nas.bench.table_space import Floats
from nas.bench.tabular import Tabular
from nas.progress import Progress
from nas.search import drive
from nas.search.problem import Rows
from search_spaces.space import row_keys


@dataclass
class Crew:
    """``workers`` that take rows in the order in which they are submitted, each one for as long as it lasts, by a clock of
    their own. What the search itself does takes no time."""

    workers: int
    now: float = 0.0
    work: float = 0.0  # in all
    _ends: dict[bytes, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._free = [0.0] * self.workers  # a heap: when each worker is

    def submit(self, key: bytes, seconds: float) -> None:
        """A row comes now."""
        self._ends[key] = max(self.now, self._free[0]) + seconds
        heapq.heapreplace(self._free, self._ends[key])
        self.work += seconds

    def wait(self, keys: Sequence[bytes]) -> None:
        """Until these are done."""
        self.now = max(self.now, *(self._ends[key] for key in keys))

    @property
    def busy(self) -> float:
        """Share of the workers' time that they worked, until now."""
        return self.work / (self.workers * self.now)


class Timed:
    """An ``evaluate`` for `nas.search.drive` whose rows last lognormal times of mean 1, the same for every crew."""

    def __init__(self, answers: Callable[[Rows], Floats], crews: Sequence[int], deviation: float, seed: int) -> None:
        self.crews = [Crew(workers) for workers in crews]
        self._answers, self._deviation, self._rng = answers, deviation, np.random.default_rng(seed)

    def submit(self, X: Rows) -> None:
        """Rows (n, G) that will be asked for."""
        lasts = self._rng.lognormal(-(self._deviation**2) / 2, self._deviation, len(X))
        for key, seconds in zip(row_keys(X), lasts.tolist(), strict=True):
            for crew in self.crews:
                crew.submit(key, seconds)

    def __call__(self, X: Rows) -> Floats:
        """Objectives (n, m) of rows (n, G), when they are done."""
        for crew in self.crews:
            crew.wait(row_keys(X))
        return self._answers(X)


def bench_steady(
    table: Tabular,
    task: SearchTask,
    searchers: Sequence[str],
    windows: Sequence[int],
    crews: Sequence[int],
    deviation: float,
    seeds: int,
    progress: Progress,
) -> pd.DataFrame:
    """A row for each searcher and window, mean and standard deviation over the seeds: what `bench_search` says of the whole
    budget, and for each number of workers the busy share of their time.

    Args:
        task: its largest budget is searched to, in its batches.
        windows: see `nas.search.Problem`; 1 waits for whole batches.
        crews: numbers of workers.
        deviation: of the logarithm of the time that an evaluation lasts.

    Raises:
        JobError: a column, searcher, budget or window is illegal.
    """
    ready = arena(table, task)
    jobs = [(name, window, seed) for name in searchers for window in windows for seed in range(seeds)]
    advance = progress.task("steady", len(jobs))
    rows = []
    for done, (name, window, seed) in enumerate(jobs, 1):
        rows.append(one_search(ready, task, name, window, crews, deviation, seed))
        advance(done, f"{name}, window {window}")
    return summary(pd.DataFrame(rows), ["searcher", "window"])


def one_search(
    ready: Arena, task: SearchTask, searcher: str, window: int, crews: Sequence[int], deviation: float, seed: int
) -> dict[str, Any]:
    """The figures of one search."""
    timed = Timed(lambda X: ready.F[ready.space.place(X)], crews, deviation, seed)
    problem = replace(problem_of(ready, task, seed), window=window)
    places = ready.space.place(drive(problem, searcher, timed, submit=timed.submit).X)
    found = {name: float(values[-1]) for name, values in figures(ready, task, places).items()}
    return (
        {"searcher": searcher, "window": window, "seed": seed}
        | found
        | {f"busy_{c.workers}": c.busy for c in timed.crews}
    )
