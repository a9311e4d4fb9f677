"""Feasible candidates: rows within the limits that were never asked, from a bounded number of tries."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nas.errors import InfeasibleError
from nas.search.problem import Problem, Rows, Scores
from predictors.minimum import minimise
from search_spaces.space import SearchSpace, row_keys

SMALL = 2000  # a space of at most this many architectures is walked whole before a search gives up


def check_limits(problem: Problem) -> Rows:
    """A row (G,) within every limit of the problem.

    Raises:
        InfeasibleError: a bounded search finds none. It says how near each limit can be met: alone, and all of them together.
    """
    rng = np.random.default_rng(problem.seed)
    for name, limit in problem.limits.items():
        row, _ = check_feasible(problem.space, problem.known[name], limit, rng, f"max_{name}", name.endswith("_ms"))
    if len(problem.limits) == 1:
        return row
    row, excess = minimise(problem.space, problem.excess, rng, stop_at=0.0)
    if not excess <= 0:
        met = dict(zip(problem.known, problem.known_exactly(row[None])[0], strict=True))
        reached = ", ".join(f"{name} {met[name]:.6g} (you asked {limit:.6g})" for name, limit in problem.limits.items())
        raise InfeasibleError(
            f"limits: each can be met alone, but no architecture found meets all; the nearest one has {reached}: "
            f"{excess:.2%} too much",
            {f"max_{name}": float(met[name]) for name in problem.limits},
        )
    return row


def check_feasible(
    space: SearchSpace,
    score: Scores,
    limit: float,
    rng: np.random.Generator,
    key: str = "max_latency_ms",
    timed: bool = True,
) -> tuple[Rows, float]:
    """A row (G,) of ``space`` whose ``score``, in ms if ``timed``, is at most ``limit``, and that score.

    InfeasibleError, naming ``key``, when even the smallest that a bounded search finds is larger.
    """
    row, least = minimise(space, score, rng, stop_at=limit)
    if not least <= limit:
        digits = max(3, len(str(int(least))))
        while digits < 16 and f"{least:.{digits}g}" == f"{limit:.{digits}g}":  # enough to tell the two numbers apart
            digits += 1
        found, asked = f"{least:.{digits}g}", f"{limit:.{digits}g}"
        what = f"architecture found takes {found} ms" if timed else f"found is {found}"
        message = f"{key}: the smallest {what}, you asked {asked}" + (" ms" if timed else "")
        raise InfeasibleError(message, {key: least})
    return row, least


def admit(problem: Problem, X: Rows, seen: set[bytes], n: int | None = None) -> Rows:
    """The first ``n`` (all by default) rows of ``X`` that are feasible, not in ``seen`` and not repeated."""
    if len(X) == 0:
        return X
    X = X[problem.feasible(X)]
    first: dict[bytes, int] = {}
    for i, key in enumerate(row_keys(X)):
        if key not in seen:
            first.setdefault(key, i)
    return X[np.fromiter(first.values(), np.int64, len(first))[:n]]


def fresh(problem: Problem, n: int, seen: set[bytes], rng: np.random.Generator) -> Rows:
    """Up to ``n`` unique feasible random rows (k, G) that are not in ``seen``; fewer only where no more can be found.

    In this order: draw uniformly and reject (ten draws of up to 8 n rows); repair what was over a limit by mutation towards
    it; walk over the one-gene neighbours of known rows. InfeasibleError when nothing was ever feasible.
    """
    taken = set(seen)
    found: list[Rows] = []
    over: list[Rows] = []
    missing = n
    for attempt in range(10):
        drawn = problem.space.sample(missing if attempt == 0 else max(8 * missing, 64), rng)
        missing = take(problem, drawn, taken, missing, found)
        if missing <= 0:
            return np.concatenate(found)
        over.append(drawn[~problem.feasible(drawn)][: 2 * n])
    missing = take(problem, repair(problem, np.concatenate(over)[: 4 * n], rng), taken, missing, found)
    if missing > 0:
        _walk(problem, taken, missing, found, rng)
    if not found and not seen:
        found.append(check_limits(problem)[None])
    return np.concatenate(found) if found else np.zeros((0, len(problem.space.choices)), dtype=np.int16)


def repair(problem: Problem, X: Rows, rng: np.random.Generator, steps: int = 40) -> Rows:
    """The rows of ``X`` mutated until they are feasible (k, G); those still over a limit after ``steps`` are dropped.

    Every step makes eight mutants of each such row and keeps the one nearest to the limits, if it is nearer than the row.
    """
    done: list[Rows] = [X[:0]]
    excess = problem.excess(X)
    for _ in range(steps):
        good = excess <= 0
        done.append(X[good])
        X, excess = X[~good], excess[~good]
        if len(X) == 0:
            break
        mutants = problem.space.mutate(np.repeat(X, 8, axis=0), rng)
        found = problem.excess(mutants).reshape(len(X), 8)
        best = np.argmin(found, axis=1)
        least = found[np.arange(len(X)), best]
        better = least < excess
        X = np.where(better[:, None], mutants[8 * np.arange(len(X)) + best], X)
        excess = np.where(better, least, excess)
    else:
        done.append(X[excess <= 0])
    return np.concatenate(done)


def spread(values: NDArray[np.float64], n: int) -> NDArray[np.int64]:
    """Indices of up to ``n`` values that cover their range evenly, ends included; sorted by value."""
    order = np.argsort(values, kind="stable")
    if len(order) <= n:
        return order
    low, high = values[order[0]], values[order[-1]]
    at = np.searchsorted(values[order], np.linspace(low, high, n), side="left").clip(0, len(order) - 1)
    for i in range(1, n):  # a target whose row is taken moves to the next free one
        at[i] = max(at[i], at[i - 1] + 1)
    for i in range(n - 1, -1, -1):
        at[i] = min(at[i], len(order) - (n - i))
    return order[at]


def take(problem: Problem, X: Rows, taken: set[bytes], missing: int, found: list[Rows]) -> int:
    """Move up to ``missing`` admissible rows of ``X`` to ``found``; how many are missing still."""
    new = admit(problem, X, taken, missing)
    if len(new):
        taken.update(row_keys(new))
        found.append(new)
    return missing - len(new)


def _walk(problem: Problem, taken: set[bytes], missing: int, found: list[Rows], rng: np.random.Generator) -> None:
    """Add unseen neighbours of known rows, breadth first, to the last row of a small space; bounded in large ones."""
    limit = SMALL if problem.space.size() <= SMALL else SMALL // 10
    start = [np.frombuffer(key, dtype=np.int16) for key in sorted(taken)]
    queue = [start[i] for i in rng.permutation(len(start))][:limit]
    for row in queue:
        before = len(found)
        missing = take(problem, problem.space.neighbours(row), taken, missing, found)
        if missing <= 0:
            return
        if len(found) > before and len(queue) < limit:
            queue.extend(found[-1])
