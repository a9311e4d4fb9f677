"""`drive`: one loop of ask, evaluate and tell; `run_search`: that for a quality and a latency, and its result."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nas.errors import JobError
from nas.search import pareto
from nas.search.base import Floats, Problem, Rows, Scores, Searcher, get_searcher
from nas.search.candidates import check_limits
from search_spaces.space import SearchSpace


@dataclass(frozen=True)
class SearchResult:
    """Everything that was evaluated, in order of evaluation; no architecture appears twice.

    ``X`` (n, G) canonical rows; ``quality`` (n,), of which more is better: an accuracy as a
    fraction, or bits per byte negated; ``latency_ms`` (n,); ``generation`` (n,) the batch, from 0.
    """

    space: SearchSpace
    X: Rows
    quality: Floats
    latency_ms: Floats
    generation: NDArray[np.int64]
    searcher: str
    seed: int

    @property
    def objectives(self) -> Floats:
        """(n, 2), both minimised: 1 - quality and latency in ms."""
        return np.column_stack((1.0 - self.quality, self.latency_ms))

    def front(self) -> NDArray[np.int64]:
        """Indices of the non-dominated architectures, from the fastest to the slowest."""
        members = np.flatnonzero(pareto.non_dominated(self.objectives))
        return members[np.argsort(self.latency_ms[members], kind="stable")]

    def knee(self) -> int:
        """Index of the front's knee: the best trade between quality and latency (see `pareto.knee`)."""
        return pareto.knee(self.objectives)

    def hypervolume(self, reference: Sequence[float]) -> float:
        """Dominated volume in quality x ms; ``reference`` is the worst point (quality, latency_ms): (0.1, 20.0)."""
        return pareto.hypervolume(self.objectives, _minimised(reference))

    def hypervolume_curve(self, reference: Sequence[float]) -> Floats:
        """The hypervolume (n,) after each evaluation, with the same ``reference`` as `hypervolume`."""
        return pareto.hypervolume_curve(self.objectives, _minimised(reference))


def drive(
    problem: Problem,
    searcher: str,
    evaluate: Scores,
    progress: Callable[[int, int], None] | None = None,
) -> Searcher:
    """The one loop of every search: ask, evaluate, tell, until the budget is spent or the space has no more.

    ``evaluate`` maps new rows (n, G) to the asked objectives, (n,) or (n, a), to be minimised; it is expensive and never
    sees a row twice. ``progress`` is called with (done, evaluations) after each batch. The searcher that comes back holds
    all that it was told.

    Raises:
        JobError: an unknown searcher, limits that no architecture found meets, or an ``evaluate`` or known objective that
            answers with something else than one finite number a row and objective.
    """
    search = get_searcher(searcher)(problem)
    if problem.limits:
        check_limits(problem)
    batch = problem.batch or problem.population
    while len(search.X) < problem.evaluations:
        X = search.ask(min(batch, problem.evaluations - len(search.X)))
        if len(X) == 0:
            break
        values = np.asarray(evaluate(X), dtype=np.float64)
        values = values[:, None] if values.ndim == 1 else values
        if values.shape != (len(X), len(problem.asked)) or not np.isfinite(values).all():
            raise JobError(
                f"evaluate: expected finite numbers, {len(X)} rows of {len(problem.asked)}, got shape {values.shape} "
                "(or values that are not finite)"
            )
        search.tell(X, np.column_stack((values, problem.known_values(X))))
        if progress is not None:
            progress(len(search.X), problem.evaluations)
    return search


def run_search(
    space: SearchSpace,
    searcher: str,
    evaluate: Scores,
    latency: Scores,
    *,
    evaluations: int,
    population: int,
    max_latency_ms: float | None = None,
    seed: int = 0,
    start: Rows | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> SearchResult:
    """Search ``space`` for high quality at low latency.

    ``evaluate`` maps new rows (n, G) to qualities (n,), of which more is better; ``latency`` maps rows to ms; it is cheap.
    ``evaluations`` counts unique architectures, asked for in batches of ``population``, those of ``start`` first. See
    `drive` for the rest.

    A search is resumed by running it again with an ``evaluate`` that answers from a cache: it is a function of its
    arguments.
    """
    limits = {} if max_latency_ms is None else {"latency_ms": max_latency_ms}
    problem = Problem(space, evaluations, population, ("-quality",), {"latency_ms": latency}, limits, seed, start)
    search = drive(problem, searcher, lambda X: -np.asarray(evaluate(X), dtype=np.float64), progress)
    return SearchResult(space, search.X, -search.F[:, 0], search.F[:, 1], search.told, searcher, seed)


def _minimised(reference: Sequence[float]) -> tuple[float, float]:
    if len(reference) != 2:
        raise JobError(f"reference: expected (quality, latency_ms), got {reference!r}")
    return 1.0 - float(reference[0]), float(reference[1])
