"""The searches of one device, or of several together: the searcher and its controls, with every seed, at equal cost."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from nas.errors import InfeasibleError
from nas.job import DeviceSection, SearchSection
from nas.metric import ACCURACY, Metric
from nas.progress import Progress
from nas.search.candidates import check_limits
from nas.search.controls import control_searcher, control_spaces
from nas.search.designs import start_rows
from nas.search.driver import SearchResult, search_together
from nas.search.noise import resolutions
from nas.search.problem import Problem, Rows, Scores
from predictors.latency import LatencyModel
from search_spaces import SearchSpace


def search_devices(
    space: SearchSpace,
    devices: Sequence[DeviceSection],
    settings: SearchSection,
    evaluate: Scores,
    predictors: Sequence[LatencyModel],
    seed: int,
    progress: Progress,
) -> list[dict[str, list[SearchResult]]]:
    """For each device, search name -> one result a seed; the searcher under test comes first, then the controls that the
    job asks for.

    Several devices are searched together: the same architectures serve them all, every latency is an objective, every limit
    holds, and what is above a goal pays for it. A control of which no architecture meets the limits is left out, and that is
    said.

    Raises:
        JobError: no architecture of the space meets the limits, or a resolution is ``auto`` where the noise is not known.
    """
    known = {_latency_name(d, devices): predictor.ms for d, predictor in zip(devices, predictors, strict=True)}
    limits = {_latency_name(d, devices): d.max_latency_ms for d in devices if d.max_latency_ms is not None}
    title = ", ".join(device.name for device in devices)
    goals = {_latency_name(d, devices): d.goal_latency_ms for d in devices if d.goal_latency_ms is not None}
    problem = Problem(
        space,
        settings.evaluations,
        settings.population,
        known=known,
        limits=limits,
        goals=goals,
        seed=seed,
        window=settings.window,
    )
    problem = replace(problem, resolution=resolutions(problem, settings, evaluate, devices, predictors))
    problems = {settings.searcher: problem}
    for name, restricted in control_spaces(space).items():
        if name not in settings.controls or name == settings.searcher:
            continue
        controlled = replace(problem, space=restricted)
        try:
            check_limits(controlled)
        except InfeasibleError as error:
            progress.say(f"{title}: control {name} is left out: {error}")
            continue
        problems[name] = controlled
    total = len(problems) * settings.seeds * settings.evaluations
    advance = progress.task(f"search {title}", total)
    results: list[dict[str, list[SearchResult]]] = [{} for _ in devices]
    for place, (name, asked) in enumerate(problems.items()):
        start = start_rows(asked.space) if settings.designs == "start" and name != "random" else None
        for number in range(settings.seeds):
            before = (place * settings.seeds + number) * settings.evaluations
            found = search_together(
                replace(asked, seed=seed + number, start=start),
                control_searcher(name, settings.searcher),
                evaluate,
                _shifted(advance, before, f"{name}, seed {seed + number}"),
            )
            for result, of_device in zip(found.values(), results, strict=True):
                of_device.setdefault(name, []).append(result)
    advance(total)
    return results


def _latency_name(device: DeviceSection, devices: Sequence[DeviceSection]) -> str:
    return "latency_ms" if len(devices) == 1 else f"{device.name}_latency_ms"


def _shifted(advance: Callable[..., None], before: int, note: str) -> Callable[[int, int], None]:
    return lambda done, total: advance(before + done, note)


def reference_point(results: dict[str, list[SearchResult]]) -> tuple[float, float]:
    """The worst corner (worth, latency_ms) over all searches of a device, a little further out: one reference for all."""
    every = [result for group in results.values() for result in group]
    worth = min(float(result.worth.min()) for result in every)
    latency = max(float(result.latency_ms.max()) for result in every)
    return worth - 0.01, latency * 1.01


def evaluations_frame(results: dict[str, list[SearchResult]], metric: Metric = ACCURACY) -> pd.DataFrame:
    """Columns search, seed, order, cost, hash, the metric's name, latency_ms, genes: every whole evaluation of every search,
    in order.

    ``cost`` is what the search had spent then, in whole evaluations; ``genes`` is a JSON list, the row in the encoding of
    the whole space (`evaluated_rows` reads it). With a goal also charged_ and the metric's name: what the front is judged by.
    """
    frames = []
    for name, group in results.items():
        for result in group:
            hashes = [result.space.architecture(row).hash for row in result.X]
            columns = {
                "search": name,
                "seed": result.seed,
                "order": np.arange(len(hashes)),
                "cost": result.cost,
                "hash": hashes,
                metric.name: metric.oriented(result.quality),
                "latency_ms": result.latency_ms,
                "genes": [json.dumps(row, separators=(",", ":")) for row in result.X.tolist()],
            }
            if result.charged is not None:
                columns[f"charged_{metric.name}"] = metric.oriented(result.charged)
            frames.append(pd.DataFrame(columns))
    return pd.concat(frames, ignore_index=True)


def evaluated_rows(evaluations: pd.DataFrame) -> Rows | None:
    """(n, G) what was evaluated, from `evaluations_frame`; None for a table of an earlier release, which has no genes."""
    if "genes" not in evaluations:
        return None
    return np.array([json.loads(text) for text in evaluations["genes"]], dtype=np.int16)


def hypervolume_frame(results: dict[str, list[SearchResult]]) -> pd.DataFrame:
    """Columns search, seed, evaluations, hypervolume: its growth, with one reference point for all searches.

    After so many evaluations, or what cost as much: a share of the examples costs that share.
    """
    reference = reference_point(results)
    frames = []
    for name, group in results.items():
        for result in group:
            counts = np.arange(1, int(np.ceil(result.cost[-1])) + 1)
            curve = np.concatenate(([0.0], result.hypervolume_curve(reference)))
            columns = {
                "search": name,
                "seed": result.seed,
                "evaluations": counts,
                "hypervolume": curve[np.searchsorted(result.cost, counts, side="right")],
            }
            frames.append(pd.DataFrame(columns))
    return pd.concat(frames, ignore_index=True)
