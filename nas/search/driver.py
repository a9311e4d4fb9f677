"""`drive`: one loop of ask, evaluate and tell; `run_search`: that for a quality and a latency, and its result."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nas.errors import JobError
from nas.search import pareto
from nas.search.base import Searcher, get_searcher
from nas.search.candidates import check_limits
from nas.search.problem import Evaluate, Floats, Problem, Rows, Scores
from search_spaces.space import SearchSpace


@dataclass(frozen=True)
class SearchResult:
    """Everything that was evaluated on all examples, in order of evaluation; no architecture appears twice.

    ``X`` (n, G) canonical rows; ``quality`` (n,), of which more is better: an accuracy as a
    fraction, or bits per byte negated; ``latency_ms`` (n,); ``generation`` (n,) what was told at once, from 0;
    ``spent`` (n,) what the search had spent when it knew each, in whole evaluations; if none, one on each;
    ``charged`` (n,) the quality after what latencies above their goals cost (see `nas.search.goals`); if none, the quality;
    ``goal_latency_ms`` of this latency, if there was one.
    """

    space: SearchSpace
    X: Rows
    quality: Floats
    latency_ms: Floats
    generation: NDArray[np.int64]
    searcher: str
    seed: int
    spent: Floats | None = None
    charged: Floats | None = None
    goal_latency_ms: float | None = None

    @property
    def worth(self) -> Floats:
        """(n,) the quality that counts: what is charged for goals taken off."""
        return self.quality if self.charged is None else self.charged

    @property
    def cost(self) -> Floats:
        """(n,) whole evaluations spent until each was known, itself included: 1, 2, ... unless shares were asked for."""
        return np.arange(1.0, len(self.X) + 1) if self.spent is None else self.spent

    @property
    def objectives(self) -> Floats:
        """(n, 2), both minimised: 1 - worth and latency in ms."""
        return np.column_stack((1.0 - self.worth, self.latency_ms))

    def front(self) -> NDArray[np.int64]:
        """Indices of the non-dominated architectures, from the fastest to the slowest."""
        members = np.flatnonzero(pareto.non_dominated(self.objectives))
        return members[np.argsort(self.latency_ms[members], kind="stable")]

    def knee(self) -> int:
        """Index of the front's knee: the best trade between worth and latency (see `pareto.knee`)."""
        return pareto.knee(self.objectives)

    def hypervolume(self, reference: Sequence[float]) -> float:
        """Dominated volume in worth x ms; ``reference`` is the worst point (worth, latency_ms): (0.1, 20.0)."""
        return pareto.hypervolume(self.objectives, _minimised(reference))

    def hypervolume_curve(self, reference: Sequence[float]) -> Floats:
        """The hypervolume (n,) after each whole evaluation, at its `cost`, with the same ``reference`` as `hypervolume`."""
        return pareto.hypervolume_curve(self.objectives, _minimised(reference))


def drive(
    problem: Problem,
    searcher: str,
    evaluate: Evaluate,
    progress: Callable[[int, int], None] | None = None,
    submit: Callable[[Rows], None] | None = None,
) -> Searcher:
    """The one loop of every search: ask, evaluate, tell, until the budget is spent or the space has no more.

    ``evaluate`` maps new rows (n, G) to the asked objectives, (n,) or (n, a), to be minimised; it is expensive and never
    sees a row twice. Searchers that ask for shares of the examples call it with the share, once for a row and share; that
    costs as much of the budget; so do the gradients that some want where the problem has them. ``progress`` is called with
    (done, evaluations) after each tell. The searcher that comes back holds all that it was told.

    Rows are told in the order in which they were asked for, whatever order they are evaluated in, so what is found does not
    depend on that. With a ``window`` above 1 the searcher is asked again before it was told of the last ones; ``submit`` is
    called with rows as soon as they are asked for (on all examples), so that an ``evaluate`` with several hands works ahead.

    Raises:
        JobError: an unknown searcher, one that asks for shares where the problem has none or has a ``window`` above 1, limits
            that no architecture found meets, or an ``evaluate`` or known objective that answers with something else than
            one finite number a row and objective.
    """
    search = get_searcher(searcher)(problem)
    if search.shares and problem.window > 1:
        raise JobError(
            f"window: got {problem.window}; legal: 1, for {searcher!r} has to know of a share what deserves the next one"
        )
    if problem.limits:
        check_limits(problem)
    batch = problem.batch or problem.population
    out = search.X  # (k, G) asked for and not told yet, in order
    while True:
        left = int(problem.evaluations - search.spent) - len(out)
        new = search.ask(min(batch, left)) if left >= 1 else out[:0]
        if submit is not None and len(new) and search.share == 1:
            submit(new)
        out = np.concatenate((out, new))
        if len(out) == 0:
            break
        due = len(out) - problem.window + 1 if len(new) else min(batch, len(out))
        if due < 1:
            continue
        X, out = out[:due], out[due:]
        share = search.share
        values = np.asarray(evaluate(X) if share == 1 else evaluate(X, float(share)), dtype=np.float64)
        values = values[:, None] if values.ndim == 1 else values
        if values.shape != (len(X), len(problem.asked)) or not np.isfinite(values).all():
            raise JobError(
                f"evaluate: expected finite numbers, {len(X)} rows of {len(problem.asked)}, got shape {values.shape} "
                "(or values that are not finite)"
            )
        F = np.column_stack((values, problem.known_exactly(X)))
        if share == 1:
            search.tell(X, F)
        else:
            search.tell_part(X, F, share)
        if problem.gradient is not None and len(X := search.wanted()):
            search.tell_gradient(X, *problem.gradient(X))
        if progress is not None:
            progress(int(search.spent), problem.evaluations)
    return search


def run_search(
    space: SearchSpace,
    searcher: str,
    evaluate: Evaluate,
    latency: Scores,
    *,
    evaluations: int,
    population: int,
    max_latency_ms: float | None = None,
    goal_latency_ms: float | None = None,
    resolution: Mapping[str, float] | None = None,
    seed: int = 0,
    start: Rows | None = None,
    window: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> SearchResult:
    """Search ``space`` for high quality at low latency.

    ``evaluate`` maps new rows (n, G) to qualities (n,), of which more is better; ``latency`` maps rows to ms; it is cheap.
    No architecture slower than ``max_latency_ms`` is asked for; one slower than ``goal_latency_ms`` pays for it in quality
    (see `nas.search.goals`). Differences up to ``resolution``, of "quality" in its unit and of "latency_ms" as a share, do not
    count in rankings (see `nas.search.resolution`). ``evaluations`` counts unique architectures, asked for in batches of
    ``population``, those of ``start`` first; the next batch as soon as fewer than ``window`` rows are not known yet. Searchers
    that ask for shares of the examples need an ``evaluate`` that takes a ``share``. See `drive` for the rest.

    A search is resumed by running it again with an ``evaluate`` that answers from a cache: it is a function of its
    arguments.
    """
    limits = {} if max_latency_ms is None else {"latency_ms": max_latency_ms}
    goals = {} if goal_latency_ms is None else {"latency_ms": goal_latency_ms}
    problem = Problem(
        space,
        evaluations,
        population,
        known={"latency_ms": latency},
        limits=limits,
        goals=goals,
        resolution={"-quality" if name == "quality" else name: width for name, width in (resolution or {}).items()},
        seed=seed,
        start=start,
        window=window,
    )
    return search_together(problem, searcher, evaluate, progress)["latency_ms"]


def search_together(
    problem: Problem, searcher: str, evaluate: Evaluate, progress: Callable[[int, int], None] | None = None
) -> dict[str, SearchResult]:
    """One search for a quality and every latency that the problem knows -> the name of each latency -> its result.

    The results hold the same architectures with the same qualities; ``evaluate`` is that of `run_search`. Where it has an
    attribute ``gradient`` (see `nas.search.problem.Gradient`), searchers that want gradients ask that; where it has a method
    ``submit``, that is told of rows ahead (see `drive`).
    """
    gradient = getattr(evaluate, "gradient", problem.gradient)
    problem = replace(problem, shares=_takes_share(evaluate), gradient=gradient)
    submit = getattr(evaluate, "submit", None)
    search = drive(problem, searcher, lambda *what: -np.asarray(evaluate(*what), dtype=np.float64), progress, submit)
    charged = -problem.charged(search.values)[:, 0] if problem.goals else None
    return {
        name: SearchResult(
            problem.space,
            search.X,
            -search.values[:, 0],
            search.values[:, place],
            search.told,
            searcher,
            problem.seed,
            search.cost,
            charged,
            problem.goals.get(name),
        )
        for place, name in enumerate(problem.known, 1)
    }


def _takes_share(evaluate: Evaluate) -> bool:
    try:
        return "share" in inspect.signature(evaluate).parameters
    except ValueError:  # some built-in functions do not say
        return False


def _minimised(reference: Sequence[float]) -> tuple[float, float]:
    if len(reference) != 2:
        raise JobError(f"reference: expected (quality, latency_ms), got {reference!r}")
    return 1.0 - float(reference[0]), float(reference[1])
