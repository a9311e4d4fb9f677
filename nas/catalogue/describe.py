"""One search space in numbers: its size, what its architectures cost, and how many of them satisfy a constraint."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from scipy.special import betaincinv

from hardware.table import LatencyTable
from nas.errors import JobError
from nas.latency.query import tables_of
from predictors import LatencyPredictor
from search_spaces import OperatorSpec, SearchSpace, cost
from search_spaces.operators import get_operator

SAMPLES = 20_000


def describe(
    space: SearchSpace, tables: Mapping[str, LatencyTable], limits: Mapping[str, float], seed: int = 0
) -> dict[str, Any]:
    """Figures over random architectures, every gene uniform.

    Args:
        space: what to describe.
        tables: name -> latency table measured for it.
        limits: measure (``macs``, ``parameters``, ``activations``, or the name of a table, in ms) -> largest value allowed.
        seed: of the random architectures.

    Returns:
        space, genes, architectures, operator_specs, mixers_by_family, samples, seed, measures (name -> smallest, p5,
        median, p95, largest; the ends are those of uniformly smallest and largest sizes if they reach further), limits
        (measure -> limit, share of the samples within it, and its 95 % interval) and all_limits (the share within all).

    Raises:
        JobError: a limit names no measure.
    """
    rng = np.random.default_rng(seed)
    rows = space.sample(SAMPLES, rng)
    ends = np.concatenate([space.smallest(rows[:2000]), space.largest(rows[:2000])])
    values, reach = {}, {}
    for name in ("macs", "parameters", "activations"):
        score = space.additive(partial(_cost_of, name)).score
        values[name], reach[name] = score(rows), score(ends)
    for name, table in tables.items():
        predictor = LatencyPredictor(space, table)
        values[name], reach[name] = (
            np.asarray(predictor.predict(rows).mean_ms),
            np.asarray(predictor.predict(ends).mean_ms),
        )
    if unknown := sorted(set(limits) - set(values)):
        raise JobError(f"--max: got {unknown[0]!r}; legal: {', '.join(values)}")
    within = {name: values[name] <= limit for name, limit in limits.items()}
    return {
        "space": space.name,
        "genes": len(space.choices),
        "architectures": float(space.size()),
        "operator_specs": len(space.specs()),
        "mixers_by_family": _families(space),
        "samples": SAMPLES,
        "seed": seed,
        "measures": {name: _spread(values[name], reach[name]) for name in values},
        "limits": {name: {"limit": limit, **_share(within[name])} for name, limit in limits.items()},
        "all_limits": _share(np.logical_and.reduce(list(within.values()))) if within else None,
    }


def _cost_of(measure: str, spec: OperatorSpec) -> float:
    return float(getattr(cost(spec), measure))


def _families(space: SearchSpace) -> dict[str, int]:
    names = {spec.name for spec in space.specs()}
    families = [get_operator(name).family for name in names if get_operator(name).role == "mixer"]
    return {family: families.count(family) for family in sorted(set(families))}


def _spread(values: np.ndarray, ends: np.ndarray) -> dict[str, float]:
    low, median, high = np.percentile(values, [5, 50, 95])
    smallest, largest = min(values.min(), ends.min()), max(values.max(), ends.max())
    return {"smallest": float(smallest), "p5": low, "median": median, "p95": high, "largest": float(largest)}


def _share(within: np.ndarray) -> dict[str, Any]:
    """Share with its exact (Clopper-Pearson) 95 % interval."""
    k, n = int(within.sum()), len(within)
    low = float(betaincinv(k, n - k + 1, 0.025)) if k else 0.0
    high = float(betaincinv(k + 1, n - k, 0.975)) if k < n else 1.0
    return {"share": k / n, "interval_95": [low, high]}


def parse_limits(texts: Sequence[str]) -> dict[str, float]:
    """``measure=value`` texts as a mapping.

    Raises:
        JobError: a text is not of that form, or its value is no positive number.
    """
    limits = {}
    for text in texts:
        name, _, value = text.rpartition("=")
        try:
            limits[name] = float(value)
        except ValueError:
            limits[name] = -1.0
        if not name or not 0 < limits[name] < float("inf"):
            raise JobError(f"--max: got {text!r}; legal: MEASURE=VALUE, e.g. macs=3e8 or cpu-torch=2.5")
    return limits


def print_description(
    space: SearchSpace, tables: Sequence[Path], limits: Sequence[str], as_json: bool, console: Console
) -> None:
    """`describe`, as JSON or as a table."""
    found = describe(space, {k: t for path in tables for k, t in tables_of(path).items()}, parse_limits(limits))
    if as_json:
        print(json.dumps(found, indent=2))
        return
    families = ", ".join(f"{count} {family}" for family, count in found["mixers_by_family"].items())
    console.print(
        f"{found['space']}: {found['architectures']:.3g} architectures, {found['genes']} genes, "
        f"{found['operator_specs']} operator specs; mixers: {families or 'none'}",
        highlight=False,
    )
    table = Table("measure", "smallest", "5 %", "median", "95 %", "largest")
    for name, figures in found["measures"].items():
        unit = "" if name in ("macs", "parameters", "activations") else " ms"
        table.add_row(name, *(f"{value:.4g}{unit}" for value in figures.values()))
    console.print(table)
    rows = [(f"{name} <= {entry['limit']:g}", entry) for name, entry in found["limits"].items()]
    if len(rows) > 1:
        rows.append(("all of these", found["all_limits"]))
    for text, entry in rows:
        low, high = entry["interval_95"]
        console.print(f"{text}: {entry['share']:.2%} of architectures (95 %: {low:.2%} to {high:.2%})", highlight=False)
