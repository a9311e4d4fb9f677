"""Searchers on a trained run: how fast their fronts grow, and what the last ones are worth on the test split and measured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nas.bench.accuracy_predictor import summary
from nas.errors import JobError
from nas.job import DeviceSection
from nas.job_checks import searcher_problems
from nas.progress import Progress
from nas.report.step import measure_networks, score_on_test
from nas.resources import ALONE, Resources
from nas.run import RunDirectory
from nas.search import get_searcher, pareto
from nas.search.candidates import spread
from nas.search.driver import SearchResult
from nas.search.problem import Rows
from nas.search.study import search_devices
from nas.session import Session


def bench_supernet_search(
    folder: Path,
    device: str | None,
    searchers: list[str],
    budgets: list[int],
    seeds: int,
    members: int,
    progress: Progress,
    resources: Resources = ALONE,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Every searcher with every seed on the run's supernet and one device's latency table, at equal cost: what `nas search`
    would do with it, by the job's limit, goal, resolutions, window and designs.

    Evaluations are shared through the run's cache, as in its own search, and kept: the bench resumes.

    Returns:
        growth: rows searcher, budget, seeds, missing_hypervolume_mean and _std: the share of the hypervolume of all that
            was evaluated by anyone that a searcher's front does not dominate after so many evaluations (whole ones).
        finals: up to ``members`` of the first seed's front of every searcher: searcher, hash, the metric on the search and
            (``test_``) the test split, latency_ms with its 90 % interval, and measured_ms with its own.

    Raises:
        JobError: the folder is no trained run, a name is unknown, or a searcher cannot search with the job's window.
    """
    for name in searchers:
        get_searcher(name)
    with RunDirectory.open(folder) as run:
        if not run.step_done("train"):
            raise JobError(f"run {folder}: its supernet is not trained yet; `nas train` does that")
        problems = (problem for name in searchers for problem in searcher_problems(name, run.job.search.window))
        for key, came, legal in problems:
            raise JobError(f"{key}: came {came} in the job of run {folder}; legal: {legal}")
        session = Session(run, progress, resources)
        section = _section(session, device)
        results = _results(session, section, searchers, max(budgets), seeds)
        everything = np.concatenate([result.objectives for result in results])
        reference = (1.0 - (everything[:, 0].max() + 0.01), everything[:, 1].max() * 1.01)
        whole = pareto.hypervolume(everything, (1.0 - reference[0], reference[1]))
        growth = summary(
            pd.DataFrame([row for result in results for row in _growth(result, budgets, reference, whole)]),
            ["searcher", "budget"],
        )
        firsts = [result for result in results if result.seed == results[0].seed]
        return growth, _finals(session, section, firsts, members)


def _section(session: Session, name: str | None) -> DeviceSection:
    found = [device for device in session.job.devices if name in (None, device.name)]
    if not found:
        raise JobError(f"--device: got {name!r}; legal: {', '.join(d.name for d in session.job.devices)}")
    return found[0]


def _results(
    session: Session, device: DeviceSection, searchers: list[str], evaluations: int, seeds: int
) -> list[SearchResult]:
    shared = {"evaluations": evaluations, "seeds": seeds, "controls": ()}
    predictors, found = [session.predictor(device)], []
    with session.evaluator() as evaluate:
        for name in searchers:
            settings = session.job.search.model_copy(update={"searcher": name, **shared})
            (results,) = search_devices(
                session.space, [device], settings, evaluate, predictors, session.job.seed, session.progress
            )
            found += results[name]
    return found


def _growth(
    result: SearchResult, budgets: list[int], reference: tuple[float, float], whole: float
) -> list[dict[str, Any]]:
    curve = np.concatenate(([0.0], result.hypervolume_curve(reference)))
    known = np.searchsorted(result.cost, budgets, side="right")
    return [
        {
            "searcher": result.searcher,
            "budget": budget,
            "seed": result.seed,
            "missing_hypervolume": 1 - curve[at] / whole,
        }
        for budget, at in zip(budgets, known, strict=True)
    ]


def _finals(session: Session, device: DeviceSection, results: list[SearchResult], members: int) -> pd.DataFrame:
    metric, predictor = session.data.metric, session.predictor(device)
    frames, rows = [], []
    for result in results:
        front = result.front()
        front = front[spread(np.log(result.latency_ms[front]), members)]
        found = predictor.predict(result.X[front])
        rows.append(result.X[front])
        frames.append(
            pd.DataFrame(
                {
                    "searcher": result.searcher,
                    "hash": [session.space.architecture(row).hash for row in result.X[front]],
                    metric.name: metric.oriented(result.quality[front]),
                    "latency_ms": found.mean_ms,
                    "latency_low_ms": found.low_ms,
                    "latency_high_ms": found.high_ms,
                }
            )
        )
    architectures = _unique(session, np.concatenate(rows))
    tests = score_on_test(session, architectures, f"bench of searchers on run {session.run.path.name}")
    tests = tests.rename(columns={"value": f"test_{metric.name}"})[["hash", f"test_{metric.name}"]]
    measured = measure_networks(session, device, architectures)
    return (
        pd.concat(frames, ignore_index=True).merge(tests, on="hash", how="left").merge(measured, on="hash", how="left")
    )


def _unique(session: Session, rows: Rows) -> list[Any]:
    return list({a.hash: a for a in map(session.space.architecture, rows)}.values())
