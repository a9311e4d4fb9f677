"""A trained run as a table: random architectures of its space, and what they score with the supernet's weights."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nas.bench.tabular import Tabular
from nas.errors import JobError
from nas.progress import Progress
from nas.resources import ALONE
from nas.run import RunDirectory
from nas.search.controls import control_spaces
from nas.search.driver import run_search
from nas.search.evaluator import CACHE, InheritedQuality
from nas.search.workers import open_workers
from nas.session import Session
from predictors.encoding import features_of
from search_spaces import SearchSpace

Rows = NDArray[np.int16]
Floats = NDArray[np.float64]
DRAWS = 10  # seeds of random search whose evaluations are looked for in the run


def run_tabular(
    folder: Path, count: int, known: list[str], known_count: int, progress: Progress
) -> tuple[Tabular, str, dict[str, tuple[NDArray[np.integer], Floats]]]:
    """``count`` random architectures of the run's space with their metric, the metric's name, and ``known_count`` random ones
    of each restricted space in ``known`` (``conv``, ...) with theirs.

    The architectures are those that random search asks for with the job's seed and the next ones: those that the run has
    evaluated come first and cost nothing, others are evaluated, and kept in the run. Of metrics of which less is better, the
    negative.

    Raises:
        JobError: the folder is no trained run, its space has too few architectures, or no such restricted space.
    """
    with RunDirectory.open(folder) as run, ExitStack() as stack:
        if not run.step_done("train"):
            raise JobError(f"--run: {folder}: its supernet is not trained yet; `nas train` does that")
        session = Session(run, progress)
        spaces = {name: part for name, part in control_spaces(session.space).items() if part is not session.space}
        for name in known:
            if name not in spaces:
                raise JobError(f"--known: got {name!r}; legal with --run: {', '.join(spaces)}")
        metric = session.data.metric
        kept = {row["hash"]: float(row[metric.name]) for row in run.read_rows(CACHE)}
        drawn = {name: _drawn(session, spaces[name], known_count, kept) for name in known}
        rows = _drawn(session, session.space, count, kept)
        scored: dict[str, Floats] = {}
        evaluator: InheritedQuality | None = None
        for name, X in {"": rows, **drawn}.items():
            hashes = [session.space.architecture(row).hash for row in X]
            if all(one in kept for one in hashes):
                scored[name] = np.asarray(metric.oriented(np.array([kept[one] for one in hashes])))
                continue
            if evaluator is None:
                workers = open_workers(ALONE, session.evaluation, run.path)
                evaluator = stack.enter_context(InheritedQuality(run, session.evaluation, workers))
            scored[name] = _evaluated(evaluator, X, progress)
    table = Tabular(rows.astype(np.int64), features_of(session.space), pd.DataFrame({metric.name: scored[""]}))
    return table, metric.name, {name: (X, scored[name]) for name, X in drawn.items()}


def _drawn(session: Session, space: SearchSpace, count: int, kept: dict[str, float]) -> Rows:
    """(count, G) rows of random searches: of every seed first those before the first that is not kept, which are no choice of
    another search."""
    whole: dict[str, Rows] = {}
    others: dict[str, Rows] = {}
    for seed in range(DRAWS):
        X = run_search(
            space,
            "random",
            lambda X: np.zeros(len(X)),
            lambda X: np.zeros(len(X)),
            evaluations=max(session.job.search.evaluations, -(-count // DRAWS)),
            population=session.job.search.population,
            seed=session.job.seed + seed,
        ).X
        hashes = [space.architecture(row).hash for row in X]
        known = next((place for place, one in enumerate(hashes) if one not in kept), len(hashes))
        whole |= dict(zip(hashes[:known], X[:known], strict=True))
        others |= dict(zip(hashes[known:], X[known:], strict=True))
    found = whole | {one: row for one, row in others.items() if one not in whole}
    if len(found) < count:
        raise JobError(f"--train, --test: got {count} in all; legal: at most {len(found)} of {space.name}")
    return np.array(list(found.values())[:count])


def _evaluated(evaluate: InheritedQuality, X: Rows, progress: Progress) -> Floats:
    advance = progress.task("evaluate random architectures", len(X))
    values = []
    for done, row in enumerate(X, 1):
        values.append(evaluate(row[None]))
        advance(done)
    return np.concatenate(values)
