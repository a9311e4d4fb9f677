"""Architectures a second that each predictor of the registry answers for, on one thread."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hardware.table import LatencyTable
from nas.errors import JobError
from nas.latency.known import unknown_operators
from nas.progress import Progress
from predictors import LatencyPredictor, features_of
from predictors.calibrated import CalibratedPredictor
from predictors.in_device import FEWEST
from predictors.latency_features import OperatorParts
from predictors.registry import ACCURACY_PREDICTORS, IN_DEVICE_PREDICTORS
from predictors.threads import one_thread
from search_spaces import Architecture, SearchSpace, make_space

Rows = NDArray[np.int16]
Predict = Callable[[Rows], object]
CALIBRATION = 10  # networks measured on a device without a table
SECONDS = 2.0  # a figure is the median over rounds that take about this long together, or over one


@one_thread
def bench_throughput(
    tables: Mapping[str, LatencyTable], rows: int, train: int, seed: int, progress: Progress
) -> pd.DataFrame:
    """A row for each predictor: what it tells, what it was fitted to, seconds for ``rows`` architectures, and how many that
    are a second.

    Random architectures of the first table's space. Accuracy and in-device predictors are fitted to ``train`` others with
    values of a random law (how long an answer takes does not depend on it); ``table`` is the first table's own
    `LatencyPredictor`; ``calibrated`` learns that device from `CALIBRATION` of its networks and the other tables, if any.

    Raises:
        JobError: there is no table, or a number is illegal.
    """
    if not tables:
        raise JobError("TABLE: got none; legal: one or more latency tables")
    if train < FEWEST:
        raise JobError(f"--train: got {train}; legal: from {FEWEST}")
    (name, table), *_ = tables.items()
    if table.header["space"] is None:
        raise JobError(f"{name}: names no space; legal: tables that `nas profile` measured")
    space = make_space(table.header["space"])
    rng = np.random.default_rng(seed)
    X, learnt = space.sample(rows, rng), space.sample(train, rng)
    law = space.additive(lambda spec: rng.gamma(1.0)).score(learnt)
    law = law * np.exp(0.05 * rng.normal(size=train))
    features = features_of(space)
    parts = OperatorParts(features)

    def of_table() -> tuple[int, Predict]:
        return len(table.operators), LatencyPredictor(space, table).predict

    def of_few() -> tuple[int, Predict]:
        return CALIBRATION, _calibrated(space, table, others).predict

    def in_device(kind: str) -> tuple[int, Predict]:
        return train, IN_DEVICE_PREDICTORS[kind](parts, seed).fit(learnt, law).predict

    def accuracy(kind: str) -> tuple[int, Predict]:
        return train, ACCURACY_PREDICTORS[kind](features, seed).fit(learnt, -np.log(law)).predict

    makers: dict[tuple[str, str], Callable[[], tuple[int, Predict]]] = {("latency", "table"): of_table}
    others = [one for other, one in tables.items() if other != name and not unknown_operators(space, one)]
    if others and len(table.networks) >= CALIBRATION:
        makers["latency", "calibrated"] = of_few
    makers |= {("latency, in-device", kind): partial(in_device, kind) for kind in IN_DEVICE_PREDICTORS}
    makers |= {("accuracy", kind): partial(accuracy, kind) for kind in ACCURACY_PREDICTORS}
    advance = progress.task("fit and predict", len(makers))
    found: list[dict[str, Any]] = []
    for done, ((tells, predictor), make) in enumerate(makers.items(), 1):
        fitted, predict = make()
        seconds = _seconds(partial(predict, X))
        facts = {"tells": tells, "predictor": predictor, "fitted_to": fitted, "rows": rows}
        found.append({**facts, "seconds": seconds, "predicted_per_s": rows / seconds})
        advance(done, predictor)
    return pd.DataFrame(found)


def _calibrated(space: SearchSpace, table: LatencyTable, others: list[LatencyTable]) -> CalibratedPredictor:
    networks = table.networks.iloc[:CALIBRATION]
    rows = space.matrix(Architecture.from_lines(networks["key"]))
    return CalibratedPredictor(space, others).fit(rows, networks["median_ms"].to_numpy(np.float64))


def _seconds(work: Callable[[], object]) -> float:
    """Median seconds of one call."""
    times: list[float] = []
    while sum(times) < SECONDS:
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return float(np.median(times))
