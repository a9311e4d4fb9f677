"""The front of a device as a table: what was found, what it costs, and its predicted latency with the interval."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import pandas as pd

from nas.metric import ACCURACY, Metric
from nas.search import pareto
from nas.search.candidates import spread
from nas.search.driver import SearchResult
from nas.search.problem import Floats
from predictors.latency import LatencyModel
from search_spaces import Architecture, SearchSpace, cost
from search_spaces.decode import state_size

TOGETHER = "front-together.csv"  # of a run whose devices are searched together


def front_frame(
    space: SearchSpace, results: list[SearchResult], predictor: LatencyModel, metric: Metric = ACCURACY
) -> pd.DataFrame:
    """The Pareto front over all ``results`` (the seeds of one search), from the fastest to the slowest.

    Columns hash, the metric's name (inherited, search split), latency_ms with its 90 % interval latency_low_ms and
    latency_high_ms, macs, parameters, resolution (or, of sequences: state, the values kept between
    two decoding steps, and context), knee (the best trade-off), genes (JSON text of the architecture). With a goal also
    charged_ and the metric's name, by which the front is judged, and over_goal: by what share of the goal the latency is
    above it, negative where it is below.
    """
    rows = np.concatenate([result.X for result in results])
    rows, first = np.unique(rows, axis=0, return_index=True)
    quality, worth = (_all(results, name)[first] for name in ("quality", "worth"))
    latency = predictor.predict(rows)
    objectives = np.column_stack((1 - worth, latency.mean_ms))
    members = np.flatnonzero(pareto.non_dominated(objectives))
    members = members[np.argsort(latency.mean_ms[members], kind="stable")]
    knee = members[pareto.knee(objectives[members])]
    architectures = [space.architecture(rows[i]) for i in members]
    return pd.DataFrame(
        {
            "hash": [a.hash for a in architectures],
            metric.name: metric.oriented(quality[members]),
            "latency_ms": latency.mean_ms[members],
            "latency_low_ms": latency.low_ms[members],
            "latency_high_ms": latency.high_ms[members],
            "macs": [sum(cost(spec).macs for spec in a.specs) for a in architectures],
            "parameters": [sum(cost(spec).parameters for spec in a.specs) for a in architectures],
            **_inputs(architectures),
            **_charged(results, worth[members], metric),
            **_over("over_goal", results, latency.mean_ms[members]),
            "knee": members == knee,
            "genes": [json.dumps(a.to_json(), separators=(",", ":")) for a in architectures],
        }
    )


def _all(results: list[SearchResult], name: str) -> Floats:
    """(n,) what the results have, one after the other."""
    return np.concatenate([getattr(result, name) for result in results])


def _charged(results: list[SearchResult], worth: Floats, metric: Metric) -> dict[str, Floats]:
    """The column of what members are judged by, where that is not the metric itself."""
    return {} if results[0].charged is None else {f"charged_{metric.name}": metric.oriented(worth)}


def _over(column: str, results: list[SearchResult], latency_ms: Floats) -> dict[str, Floats]:
    """How latencies stand to the goal, where there is one."""
    goal = results[0].goal_latency_ms
    return {} if goal is None else {column: latency_ms / goal - 1}


def together_frame(
    devices: Sequence[str], results: Sequence[list[SearchResult]], metric: Metric = ACCURACY
) -> pd.DataFrame:
    """The front of a search for several devices together, over its seeds: no other network found is as good everywhere.

    ``results`` are those of each device, of the same architectures. Columns hash, the metric's name, latency_ms_NAME for
    each device, knee, genes. With goals also charged_ and the metric's name, and over_goal_NAME for each device with one.
    """
    rows = np.concatenate([result.X for result in results[0]])
    latency = np.stack([_all(found, "latency_ms") for found in results], axis=1)
    rows, first = np.unique(rows, axis=0, return_index=True)
    quality, worth = (_all(results[0], name)[first] for name in ("quality", "worth"))
    objectives = np.column_stack((1 - worth, latency[first]))
    members = np.flatnonzero(pareto.non_dominated(objectives))
    members = members[np.argsort(objectives[members, 1], kind="stable")]
    architectures = [results[0][0].space.architecture(rows[i]) for i in members]
    return pd.DataFrame(
        {
            "hash": [a.hash for a in architectures],
            metric.name: metric.oriented(quality[members]),
            **{f"latency_ms_{name}": objectives[members, 1 + i] for i, name in enumerate(devices)},
            **_charged(results[0], worth[members], metric),
            **{
                key: over
                for i, name in enumerate(devices)
                for key, over in _over(f"over_goal_{name}", results[i], objectives[members, 1 + i]).items()
            },
            "knee": members == members[pareto.knee(objectives[members])],
            "genes": [json.dumps(a.to_json(), separators=(",", ":")) for a in architectures],
        }
    )


def _inputs(architectures: list[Architecture]) -> dict[str, list[int]]:
    """The gene of the input's size, and for sequences the size of the decoding state."""
    extent = architectures[0].space.choices[0].name
    sizes = [a.values[extent] for a in architectures]
    if extent != "context":
        return {extent: sizes}
    return {"state": [sum(state_size(spec) for spec in a.specs) for a in architectures], extent: sizes}


def choose_members(front: pd.DataFrame, count: int) -> pd.DataFrame:
    """At most ``count`` members: the knee and both ends, the rest spread evenly over latency."""
    if count >= len(front):
        return front
    knee = int(np.flatnonzero(front["knee"])[0])
    picked = {knee, *(int(i) for i in spread(np.log(front["latency_ms"].to_numpy()), count - 1))}
    others = [i for i in range(len(front)) if i not in picked]
    return front.iloc[sorted([*picked, *others[: count - len(picked)]])]
