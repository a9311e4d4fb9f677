"""Reports about real architectures of the real space. Their accuracies are made up: this wing only shows them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from nas.job_file import parse_job
from nas.report.contents import DeviceReport, Report
from nas.report.genes import gene_counts
from nas.report.tables import wilson
from nas.search.pareto import hypervolume_curve, knee, non_dominated
from search_spaces import cost, get_space, macs

SEARCHES = ("predictor-nsga2", "random", "local-search", "conv", "attention", "ssm", "no-ssm")


def evaluate(seed: int, searches: tuple[str, ...], seeds: int, count: int) -> tuple[pd.DataFrame, dict[str, Any]]:
    """The evaluations table, and hash -> architecture."""
    space, rng = get_space("hybrid-vision/tiny"), np.random.default_rng(seed)
    rows, known = [], {}
    for search in searches:
        for s in range(seeds):
            for order, row in enumerate(space.sample(count, rng)):
                architecture = space.architecture(row)
                known[architecture.hash] = architecture
                work = sum(macs(spec) for spec in architecture.specs)
                latency = 0.1 + work / 2e7 * rng.uniform(0.9, 1.1)
                skill = 0.01 * (search == SEARCHES[0]) * order / count
                accuracy = 0.97 - 0.12 * np.exp(-latency) - abs(rng.normal(0, 0.02)) + skill
                rows.append((search, s, order, architecture.hash, round(accuracy * 5000) / 5000, latency))
    table = pd.DataFrame(rows, columns=["search", "seed", "order", "hash", "accuracy", "latency_ms"])
    return table.assign(latency_low_ms=0.93 * table["latency_ms"], latency_high_ms=1.09 * table["latency_ms"]), known


def volumes(evaluations: pd.DataFrame) -> pd.DataFrame:
    """The hypervolumes table of the evaluations."""
    reference = [evaluations["latency_ms"].max(), 0.0]
    parts = []
    for (search, seed), rows in evaluations.groupby(["search", "seed"], sort=False):
        points = np.column_stack([rows["latency_ms"], -rows["accuracy"]])
        curve = hypervolume_curve(points, reference)
        parts.append(
            pd.DataFrame({"search": search, "seed": seed, "evaluations": rows["order"] + 1, "hypervolume": curve})
        )
    return pd.concat(parts, ignore_index=True)


def front_of(evaluations: pd.DataFrame, known: dict[str, Any], tested: int, search: str = SEARCHES[0]) -> pd.DataFrame:
    """The front of one search; its ``tested`` fastest members were tested."""
    rng = np.random.default_rng(1)
    own = evaluations[evaluations["search"] == search]
    points = np.column_stack([own["latency_ms"], -own["accuracy"]])
    front = (
        own[non_dominated(points)].drop_duplicates("hash").sort_values("latency_ms")[["hash", "accuracy", "latency_ms"]]
    )
    front = front.reset_index(drop=True)
    n, ms = len(front), front["latency_ms"]
    front["latency_low_ms"], front["latency_high_ms"] = 0.93 * ms, 1.09 * ms
    right = np.round((front["accuracy"] - 0.01) * 2000)
    low, high = zip(*(wilson(k, 2000) for k in right), strict=True)
    measured = ms * rng.uniform(0.96, 1.05, n)
    columns = {
        "test_accuracy": right / 2000, "test_low": low, "test_high": high,
        "measured_ms": measured, "measured_low_ms": 0.995 * measured, "measured_high_ms": 1.005 * measured,
    }  # fmt: skip
    for name, values in columns.items():
        front[name] = np.where(np.arange(n) < tested, values, np.nan)
    nets = [known[h] for h in front["hash"]]
    front["macs"] = [sum(cost(spec).macs for spec in net.specs) for net in nets]
    front["parameters"] = [sum(cost(spec).parameters for spec in net.specs) for net in nets]
    front["resolution"] = [net.values["resolution"] for net in nets]
    front["knee"] = np.arange(n) == knee(np.column_stack([front["latency_ms"], -front["accuracy"]]))
    front["genes"] = [json.dumps(net.to_json()) for net in nets]
    return front


def make_device(
    name: str = "cpu-torch",
    seed: int = 0,
    searches: tuple[str, ...] = SEARCHES,
    seeds: int = 3,
    tested: int = 6,
    **changes: Any,
) -> DeviceReport:
    """A device whose numbers hang together."""
    evaluations, known = evaluate(seed, searches, seeds, 40)
    front, space = front_of(evaluations, known, tested, searches[0]), get_space("hybrid-vision/tiny")
    rng = np.random.default_rng(seed)
    measured = rng.uniform(0.2, 2.0, 50)
    predicted = measured * rng.normal(1, 0.04, 50)
    error = np.abs(predicted / measured - 1)
    header = {
        "schema_version": 1,
        "device": {"name": "local", "kind": "cpu", "description": {"model": "Some CPU @ 2.10GHz", "cores": 2}},
        "runtime": "torch", "precision": "fp32", "threads": 1, "batch": 1, "versions": {"torch": "2.13.0"},
        "conditions": {"governor": None, "load": [0.1, 0.2, 0.3]}, "noise_floor": 0.0123, "seconds": 312.4,
        "validation": {
            "mape": float(error.mean()), "within_10": float((error < 0.1).mean()), "spearman": 0.991, "kendall": 0.941,
            "coverage_90": 0.92, "networks": 50,
        },
    }  # fmt: skip
    validation = {
        "predicted_ms": predicted,
        "low_ms": 0.92 * predicted,
        "high_ms": 1.08 * predicted,
        "measured_ms": measured,
    }
    fields: dict[str, Any] = {
        "name": name, "runtime": "torch", "header": header, "max_latency_ms": 1.4,
        "front": front, "evaluations": evaluations,
        "hypervolumes": volumes(evaluations), "validation": pd.DataFrame(validation),
        "genes": gene_counts(space, *(space.matrix(known[h] for h in f["hash"]) for f in (front, evaluations))),
        "latency_range_ms": (0.05, 1.4),
    }  # fmt: skip
    return DeviceReport(**{**fields, **changes})


def make_report(*devices: DeviceReport, **changes: Any) -> Report:
    """A report about ``devices``."""
    job = parse_job(
        {
            "name": "digits-trial",
            "data": {"name": "digits"},
            "space": {"resolutions": [8]},
            "devices": [{"name": device.name, "runtime": "torch"} for device in devices],
        }
    )
    step = np.arange(1, 41) * 10
    training = pd.DataFrame(
        {"step": step, "epoch": step / 33, "learning_rate": 0.002, "loss": 2.3 * np.exp(-step / 150)}
    )
    for role, slower in (("largest", 1.0), ("smallest", 1.6), ("random", 1.3)):
        training[f"{role}_loss"] = 2.3 * np.exp(-step / 150 / slower)
        training[f"{role}_accuracy"] = 1 - 0.9 * np.exp(-step / 80 / slower)
    facts = {"train images": 1198, "search images": 239, "test images": 360, "seconds a step": 0.8123}
    fields: dict[str, Any] = {"facts": facts, "training": training, "devices": devices, "ranks": None}
    return Report(job=job, created="2026-01-02 03:04 UTC", **{**fields, **changes})


@pytest.fixture(scope="session")
def device() -> DeviceReport:
    return make_device()


@pytest.fixture(scope="session")
def report(device: DeviceReport) -> Report:
    return make_report(device, make_device("cpu-onnxruntime", seed=5, max_latency_ms=None))


@pytest.fixture(scope="session")
def device_of() -> Callable[..., DeviceReport]:
    return make_device


@pytest.fixture(scope="session")
def report_of() -> Callable[..., Report]:
    return make_report
