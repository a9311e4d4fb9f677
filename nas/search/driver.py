"""`run_search`: one loop of ask, evaluate and tell, and its result."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nas.errors import JobError
from nas.search import pareto
from nas.search.base import Floats, Problem, Rows, Scores, get_searcher
from nas.search.candidates import check_feasible
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

    ``evaluate`` maps new rows (n, G) to qualities (n,), of which more is better; it is expensive and never sees a row
    twice. ``latency`` maps rows to ms; it is cheap. ``evaluations`` counts unique architectures, asked for in batches of
    ``population``, those of ``start`` first. The search ends early when the space has no more. ``progress`` is called
    with (done, evaluations) after each batch.

    A search is resumed by running it again with an ``evaluate`` that answers from a cache: it is a function of its
    arguments.

    Raises JobError for an unknown searcher, a budget below 1, a ``max_latency_ms`` that no architecture found can
    meet, and for an ``evaluate`` or ``latency`` that does not answer with one finite number a row.
    """
    problem = Problem(space, latency, evaluations, population, max_latency_ms, seed, start)
    search = get_searcher(searcher)(problem)
    if max_latency_ms is not None:
        check_feasible(space, problem.latency_ms, max_latency_ms, np.random.default_rng(seed))
    generation: list[int] = []
    batch = 0
    while len(search.X) < evaluations:
        X = search.ask(min(population, evaluations - len(search.X)))
        if len(X) == 0:
            break
        quality = np.asarray(evaluate(X), dtype=np.float64)
        if quality.shape != (len(X),) or not np.isfinite(quality).all():
            raise JobError(f"evaluate: expected {len(X)} finite numbers, one a row, got {quality!r}")
        search.tell(X, quality, problem.latency_ms(X))
        generation += [batch] * len(X)
        batch += 1
        if progress is not None:
            progress(len(search.X), evaluations)
    return SearchResult(
        space, search.X, search.quality, search.latency_ms, np.array(generation, dtype=np.int64), searcher, seed
    )


def _minimised(reference: Sequence[float]) -> tuple[float, float]:
    if len(reference) != 2:
        raise JobError(f"reference: expected (quality, latency_ms), got {reference!r}")
    return 1.0 - float(reference[0]), float(reference[1])
