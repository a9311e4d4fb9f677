"""What no evaluation of any search visited: gene values, mixers in stages, stretches of latency."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from nas.report.contents import DeviceReport
from nas.report.words import listed, ms, percent, plural

PARTS = 20  # of the latency range
SHOWN = 8  # of a long list
_MIXER = r"(stage\d+)\.layer\d+\.mixer"


def unexplored(device: DeviceReport) -> list[str]:
    """Sentences on what the searches of this device and their controls never evaluated; also where that is nothing."""
    if device.genes is None or "evaluated" not in device.genes:
        return [
            "Which gene values were never evaluated is not known: this run does not hold the genes of its evaluations, "
            "as runs of earlier releases did not.",
            *_latencies(device),
        ]
    return [*_values(device.genes), *_mixers(device.genes), *_latencies(device)]


def _values(genes: pd.DataFrame) -> list[str]:
    never = genes[genes["evaluated"] == 0]
    if never.empty:
        return [f"Each of the {plural(len(genes), 'gene value')} was evaluated at least once."]
    by_gene = [f"{gene} = {' or '.join(rows['value'])}" for gene, rows in never.groupby("gene", sort=False)]
    return [f"{len(never)} of {plural(len(genes), 'gene value')} were never evaluated: {_some(by_gene)}."]


def _mixers(genes: pd.DataFrame) -> list[str]:
    """Mixers that no evaluated network has anywhere in a stage that offers them."""
    stages = genes["gene"].astype(str).str.extract(f"^{_MIXER}$", expand=False)
    pairs = (
        genes.assign(stage=stages).groupby(["stage", "value"], sort=False)["evaluated"].sum()
    )  # other genes: no stage
    if pairs.empty:
        return []
    names: Iterable[Any] = pairs[pairs == 0].index
    never = [f"{mixer} in {stage}" for stage, mixer in names]
    if not never:
        return [f"Every mixer was evaluated in every stage that offers it ({plural(len(pairs), 'pair')})."]
    return [f"{len(never)} of {plural(len(pairs), 'pair')} of mixer and stage were never evaluated: {_some(never)}."]


def _latencies(device: DeviceReport) -> list[str]:
    if device.latency_range_ms is None or not 0 < device.latency_range_ms[0] < device.latency_range_ms[1]:
        return []
    known = [*device.latency_range_ms, *device.evaluations["latency_ms"]]  # a bounded search may miss the very ends
    low, high = min(known), max(known)
    ends = f"from the fastest network of the space ({ms(low)} ms) to "
    ends += f"the limit ({ms(high)} ms)" if high == device.max_latency_ms else f"the slowest ({ms(high)} ms)"
    empty = empty_parts(device.evaluations["latency_ms"].to_numpy(), low, high)
    if not empty:
        return [f"Latencies {ends}: each of {PARTS} equal parts (on a logarithmic scale) holds an evaluated network."]
    share = sum(np.log(end / start) for start, end in empty) / np.log(high / low)
    gaps = _some([f"{ms(start)} to {ms(end)} ms" for start, end in empty])
    return [
        f"Latencies {ends}: {percent(float(share), 0)} of the range (on a logarithmic scale) has no evaluated network: {gaps}."
    ]


def empty_parts(values: np.ndarray, low: float, high: float, parts: int = PARTS) -> list[tuple[float, float]]:
    """The stretches of [low, high] without any of ``values``, of ``parts`` equal parts on a logarithmic scale; neighbours
    are joined."""
    edges = np.geomspace(low, high, parts + 1)
    edges[[0, -1]] = low, high
    inside = values[(values >= low) & (values <= high)]
    at = np.clip(np.searchsorted(edges, inside, side="right") - 1, 0, parts - 1)
    empty = np.bincount(at, minlength=parts) == 0
    turns = np.flatnonzero(np.diff(np.r_[False, empty, False]))
    return [(float(edges[start]), float(edges[end])) for start, end in list(pairwise(turns))[::2]]


def _some(items: list[str]) -> str:
    """A list, of which only the beginning is shown if it is long."""
    if len(items) <= SHOWN + 1:
        return listed(items)
    return listed([*items[:SHOWN], f"{len(items) - SHOWN} more"])
