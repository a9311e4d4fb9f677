"""Limits that cannot be met, contradict each other, or are met by hardly anything: what a search answers, and how fast."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hardware.table import LatencyTable
from nas.errors import InfeasibleError, JobError
from nas.latency.known import given_tables
from nas.progress import Progress
from nas.search import Problem
from nas.search.candidates import check_limits
from nas.search.problem import Scores
from predictors import LatencyPredictor, minimise
from search_spaces import SearchSpace, cost

KINDS = ("impossible", "contradictory", "borderline")


def bench_constraints(tables: Sequence[Path], cases: int, seed: int, progress: Progress) -> pd.DataFrame:
    """A row a case: kind, limits, answer, seconds, and how good the answer is.

    The known objectives are the latencies of ``tables``, of one space, and the parameters. The kinds, in turn:

    - impossible: one limit, .2 to .999 of the smallest value that a long search finds. over: the nearest value that the
      answer names, over that smallest one, less 1.
    - contradictory: each of two limits 0 to 3 % above its smallest value. over: by how much more of its limit the nearest
      architecture is over than the nearest one that a long search finds.
    - borderline: two limits that one architecture, a small one, meets exactly. over: 0 where it or another one is found.

    Raises:
        JobError: fewer than two tables, or tables of different spaces.
    """
    if len(tables) < 2:
        raise JobError(f"TABLES: got {len(tables)}; legal: two or more latency tables of one space")
    space, known = _objectives(tables)
    rng = np.random.default_rng(seed)
    advance = progress.task("smallest values", len(known))
    least: dict[str, tuple[np.ndarray, float]] = {}
    for name, score in known.items():
        least[name] = _long(space, score, seed)
        advance(len(least))
    advance = progress.task("cases", cases)
    rows = []
    for number in range(cases):
        kind = KINDS[number % len(KINDS)]
        limits = _limits(kind, space, known, least, rng)
        problem = Problem(space, 10, 10, known=known, limits=limits, seed=number)
        rows.append(
            {"case": number, "kind": kind, **_answered(problem, {name: value for name, (_, value) in least.items()})}
        )
        advance(number + 1)
    return pd.DataFrame(rows)


def _objectives(tables: Sequence[Path]) -> tuple[SearchSpace, dict[str, Scores]]:
    space, found = given_tables({path.name: LatencyTable.load(path) for path in tables})

    known: dict[str, Scores] = {f"{name}_ms": LatencyPredictor(space, table).ms for name, table in found.items()}
    return space, {**known, "parameters": space.additive(lambda spec: float(cost(spec).parameters)).score}


def _limits(
    kind: str,
    space: SearchSpace,
    known: dict[str, Callable[[np.ndarray], np.ndarray]],
    least: dict[str, tuple[np.ndarray, float]],
    rng: np.random.Generator,
) -> dict[str, float]:
    names = [str(name) for name in rng.permutation(list(known))]
    if kind == "impossible":
        return {names[0]: least[names[0]][1] * float(rng.uniform(0.2, 0.999))}
    if kind == "contradictory":
        return {name: least[name][1] * float(1 + rng.uniform(0, 0.03)) for name in names[:2]}
    row = space.mutate(least[names[0]][0][None], rng)
    return {name: float(known[name](row)[0]) for name in names[:2]}


def _long(space: SearchSpace, score: Scores, seed: int) -> tuple[np.ndarray, float]:
    """The smallest of three long searches: its row and value."""
    tries = [minimise(space, score, np.random.default_rng([seed, i]), generations=60) for i in range(3)]
    return min(tries, key=lambda found: found[1])


def _answered(problem: Problem, least: dict[str, float]) -> dict[str, Any]:
    began = time.perf_counter()
    answer, over, spent = "feasible", 0.0, 0.0
    try:
        check_limits(problem)
        spent = time.perf_counter() - began
    except InfeasibleError as error:
        spent = time.perf_counter() - began
        answer = str(error)
        if len(error.nearest) > 1:
            excess = max(value / problem.limits[key.removeprefix("max_")] - 1 for key, value in error.nearest.items())
            over = excess - max(0.0, _long(problem.space, problem.excess, problem.seed)[1])
        else:
            over = max(value / least[key.removeprefix("max_")] - 1 for key, value in error.nearest.items())
    limits = ", ".join(f"{name} {value:.6g}" for name, value in problem.limits.items())
    return {"limits": limits, "answer": answer, "over": over, "seconds": spent}
