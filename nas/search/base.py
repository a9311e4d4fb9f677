"""What a searcher is: it is asked for candidates and told how they did. And the registry of searchers by name."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from nas.errors import JobError
from search_spaces.space import SearchSpace, row_keys

Rows = NDArray[np.int16]
Floats = NDArray[np.float64]
Scores = Callable[[Rows], Floats]  # (n, G) rows -> (n,) numbers


@dataclass(frozen=True)
class Problem:
    """What every searcher knows before it starts.

    ``latency`` is cheap and vectorised: (n, G) rows -> (n,) ms. ``max_latency_ms`` is a hard limit on it: only
    feasible rows are ever asked for. ``evaluations`` is the whole budget and ``population`` the usual batch, which
    searchers may use to plan. ``start`` (k, G) are rows that are asked for first, where they are feasible.
    """

    space: SearchSpace
    latency: Scores
    evaluations: int
    population: int
    max_latency_ms: float | None = None
    seed: int = 0
    start: Rows | None = None

    def __post_init__(self) -> None:
        for key in ("evaluations", "population"):
            value = getattr(self, key)
            if value < 1:
                raise JobError(f"{key}: must be at least 1, got {value}")
        if self.max_latency_ms is not None and not self.max_latency_ms > 0:
            raise JobError(f"max_latency_ms: must be a positive number of milliseconds, got {self.max_latency_ms}")

    def latency_ms(self, X: Rows) -> Floats:
        """Latency (n,) of the rows in ms; JobError when the latency function answers with something else."""
        if len(X) == 0:
            return np.zeros(0)
        ms = np.asarray(self.latency(X), dtype=np.float64)
        if ms.shape != (len(X),) or not np.isfinite(ms).all():
            raise JobError(
                f"latency: expected {len(X)} finite numbers, got shape {ms.shape} (or values that are not finite)"
            )
        return ms

    def feasible(self, latency_ms: Floats) -> NDArray[np.bool_]:
        """Mask (n,) of the latencies within the limit."""
        if self.max_latency_ms is None:
            return np.ones(len(latency_ms), dtype=bool)
        return latency_ms <= self.max_latency_ms


class Searcher(ABC):
    """Ask/tell searcher. Its behaviour is a function of the problem (with its seed) and of what it was told, nothing
    else: a search resumes by replaying the same asks and tells, and no searcher state is ever stored.
    """

    name: ClassVar[str]

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.space = problem.space
        self.rng = np.random.default_rng(problem.seed)
        self.seen: set[bytes] = set()  # keys of every row asked or told: none is asked again
        self.X: Rows = np.zeros((0, len(problem.space.choices)), dtype=np.int16)
        self.quality: Floats = np.zeros(0)
        self.latency_ms: Floats = np.zeros(0)

    def ask(self, n: int) -> Rows:
        """At most ``n`` new feasible canonical rows (k, G), none asked or told before; empty: the space is exhausted"""
        if n < 1:
            raise JobError(f"n: must be at least 1, got {n}")
        first = self._unseen_start()[:n]
        self.seen.update(row_keys(first))
        if len(first) == n:
            return first
        X = self.propose(n - len(first))[: n - len(first)]
        self.seen.update(row_keys(X))
        return np.concatenate((first, X)).astype(np.int16)

    def _unseen_start(self) -> Rows:
        """The feasible rows of the problem's ``start`` that were not asked for yet."""
        start = self.problem.start
        if start is None or len(start) == 0:
            return np.zeros((0, len(self.space.choices)), dtype=np.int16)
        start = start[self.problem.feasible(self.problem.latency_ms(start))]
        return start[[i for i, key in enumerate(row_keys(start)) if key not in self.seen]]

    def tell(self, X: Rows, quality: Floats, latency_ms: Floats) -> None:
        """Record evaluated rows (n, G) with their qualities (n,), of which more is better, and latencies (n,) in ms."""
        quality, latency_ms = np.asarray(quality, dtype=np.float64), np.asarray(latency_ms, dtype=np.float64)
        for key, values in (("quality", quality), ("latency_ms", latency_ms)):
            if values.shape != (len(X),) or not np.isfinite(values).all():
                raise JobError(f"{key}: expected {len(X)} finite numbers, one a row, got {values!r}")
        self.seen.update(row_keys(X))
        self.X = np.concatenate((self.X, X)).astype(np.int16)
        self.quality = np.concatenate((self.quality, quality))
        self.latency_ms = np.concatenate((self.latency_ms, latency_ms))

    @property
    def objectives(self) -> Floats:
        """(told, 2): what is minimised, 1 - quality and latency in ms."""
        return np.column_stack((1.0 - self.quality, self.latency_ms))

    @abstractmethod
    def propose(self, n: int) -> Rows:
        """The searcher's idea: up to ``n`` unique feasible rows that are not in ``seen``."""


_SEARCHERS: dict[str, type[Searcher]] = {}


def register(searcher: type[Searcher]) -> type[Searcher]:
    """Class decorator: lists a searcher under its ``name``; a taken name is refused, never overwritten."""
    other = _SEARCHERS.get(searcher.name)
    if other is not None and other is not searcher:
        raise JobError(f"searcher {searcher.name!r} is already registered by {other.__module__}.{other.__qualname__}")
    _SEARCHERS[searcher.name] = searcher
    return searcher


def searcher_names() -> list[str]:
    """Names of the registered searchers, sorted."""
    return sorted(_SEARCHERS)


def get_searcher(name: str) -> type[Searcher]:
    """The searcher class of that name; JobError lists the legal names."""
    if name not in _SEARCHERS:
        raise JobError(f"searcher: unknown name {name!r}, legal: {', '.join(searcher_names())}")
    return _SEARCHERS[name]
