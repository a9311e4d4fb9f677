"""The searches of one device: the searcher and its controls, each with every seed, at equal numbers of evaluations."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from nas.errors import JobError
from nas.job import DeviceSection, SearchSection
from nas.metric import ACCURACY, Metric
from nas.progress import Progress
from nas.search.base import Rows, Scores
from nas.search.candidates import check_feasible
from nas.search.controls import control_searcher, control_spaces
from nas.search.designs import start_rows
from nas.search.driver import SearchResult, run_search
from predictors import LatencyPredictor
from search_spaces import SearchSpace


def search_device(
    space: SearchSpace,
    device: DeviceSection,
    settings: SearchSection,
    evaluate: Scores,
    predictor: LatencyPredictor,
    seed: int,
    progress: Progress,
) -> dict[str, list[SearchResult]]:
    """Search name -> one result a seed; the searcher under test comes first, then the controls that the job asks for.

    A control of which no architecture meets ``device.max_latency_ms`` is left out, and that is said.

    Raises:
        JobError: no architecture of the space meets ``device.max_latency_ms``.
    """

    def latency(rows: Rows) -> np.ndarray:
        return np.asarray(predictor.predict(rows).mean_ms)

    spaces: dict[str, SearchSpace] = {settings.searcher: space}
    for name, restricted in control_spaces(space).items():
        if name not in settings.controls or name == settings.searcher:
            continue
        if device.max_latency_ms is not None:
            try:
                check_feasible(restricted, latency, device.max_latency_ms, np.random.default_rng(seed))
            except JobError as error:
                progress.say(f"{device.name}: control {name} is left out: {error}")
                continue
        spaces[name] = restricted
    total = len(spaces) * settings.seeds * settings.evaluations
    advance = progress.task(f"search {device.name}", total)
    results: dict[str, list[SearchResult]] = {}
    for place, (name, restricted) in enumerate(spaces.items()):
        start = start_rows(restricted) if settings.designs == "start" and name != "random" else None
        for number in range(settings.seeds):
            before = (place * settings.seeds + number) * settings.evaluations
            result = run_search(
                restricted,
                control_searcher(name, settings.searcher),
                evaluate,
                latency,
                evaluations=settings.evaluations,
                population=settings.population,
                max_latency_ms=device.max_latency_ms,
                seed=seed + number,
                start=start,
                progress=_shifted(advance, before, f"{name}, seed {seed + number}"),
            )
            results.setdefault(name, []).append(result)
    advance(total)
    return results


def _shifted(advance: Callable[..., None], before: int, note: str) -> Callable[[int, int], None]:
    return lambda done, total: advance(before + done, note)


def reference_point(results: dict[str, list[SearchResult]]) -> tuple[float, float]:
    """The worst corner (quality, latency_ms) over all searches of a device, a little further out: one reference for all."""
    every = [result for group in results.values() for result in group]
    quality = min(float(result.quality.min()) for result in every)
    latency = max(float(result.latency_ms.max()) for result in every)
    return quality - 0.01, latency * 1.01


def evaluations_frame(results: dict[str, list[SearchResult]], metric: Metric = ACCURACY) -> pd.DataFrame:
    """Columns search, seed, order, hash, the metric's name, latency_ms: every evaluation of every search, in order."""
    frames = []
    for name, group in results.items():
        for result in group:
            hashes = [result.space.architecture(row).hash for row in result.X]
            columns = {
                "search": name,
                "seed": result.seed,
                "order": np.arange(len(hashes)),
                "hash": hashes,
                metric.name: metric.oriented(result.quality),
                "latency_ms": result.latency_ms,
            }
            frames.append(pd.DataFrame(columns))
    return pd.concat(frames, ignore_index=True)


def hypervolume_frame(results: dict[str, list[SearchResult]]) -> pd.DataFrame:
    """Columns search, seed, evaluations, hypervolume: its growth, with one reference point for all searches."""
    reference = reference_point(results)
    frames = []
    for name, group in results.items():
        for result in group:
            curve = result.hypervolume_curve(reference)
            columns = {
                "search": name,
                "seed": result.seed,
                "evaluations": np.arange(1, len(curve) + 1),
                "hypervolume": curve,
            }
            frames.append(pd.DataFrame(columns))
    return pd.concat(frames, ignore_index=True)
