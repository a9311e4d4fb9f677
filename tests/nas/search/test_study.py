"""The table of evaluations: every network can be made again from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from nas.errors import InfeasibleError
from nas.job import DeviceSection, SearchSection
from nas.metric import ACCURACY
from nas.progress import Silent
from nas.report.tables import together_table
from nas.search import control_spaces, pareto, run_search
from nas.search.front import together_frame
from nas.search.study import evaluated_rows, evaluations_frame, search_devices


def test_genes_give_every_evaluated_network_back(known: Any) -> None:
    spaces = {"nsga2": known.space, "conv": control_spaces(known.space)["conv"]}
    results = {
        name: [
            run_search(space, "nsga2", known.accuracy, known.latency, evaluations=12, population=6, seed=seed)
            for seed in range(2)
        ]
        for name, space in spaces.items()
    }
    frame = evaluations_frame(results)
    rows = evaluated_rows(frame)
    assert rows is not None
    assert np.array_equal(rows, np.concatenate([result.X for group in results.values() for result in group]))
    assert [known.space.architecture(row).hash for row in rows] == frame["hash"].tolist()
    assert evaluated_rows(frame.drop(columns="genes")) is None


@dataclass
class Scaled:
    """A predictor whose latencies are others', but for a power."""

    known: Any
    power: float

    def ms(self, rows: np.ndarray) -> np.ndarray:
        return np.asarray(self.known.latency(rows) ** self.power)


def test_devices_searched_together_share_networks_within_every_limit(known: Any) -> None:
    usual = np.median(known.latency(known.space.sample(500, np.random.default_rng(0))))
    devices = [
        DeviceSection(name="one", runtime="torch", max_latency_ms=float(usual)),
        DeviceSection(name="two", runtime="torch", max_latency_ms=float(0.8 * usual**1.2)),
    ]
    settings = SearchSection(evaluations=24, population=8, searcher="nsga2", seeds=2, controls=("random", "no-ssm"))
    predictors: Any = [Scaled(known, 1.0), Scaled(known, 1.2)]
    found = search_devices(known.space, devices, settings, known.accuracy, predictors, 0, Silent())
    assert [list(results) for results in found] == [["nsga2", "random", "no-ssm"]] * 2
    for one, two in zip(*([r for group in results.values() for r in group] for results in found), strict=True):
        assert np.array_equal(one.X, two.X)
        assert np.array_equal(one.quality, two.quality)
        assert one.latency_ms.max() <= devices[0].max_latency_ms
        assert two.latency_ms.max() <= devices[1].max_latency_ms
        assert np.allclose(two.latency_ms, one.latency_ms**1.2)
    front = together_frame(["one", "two"], [results["nsga2"] for results in found])
    F = np.column_stack((1 - front["accuracy"], front["latency_ms_one"], front["latency_ms_two"]))
    assert pareto.non_dominated(F).all()
    assert front["knee"].sum() == 1
    console = Console(width=200, record=True)
    console.print(together_table(front, ACCURACY))
    shown = console.export_text()
    assert all(name in shown for name in front["hash"])
    impossible = [devices[0], devices[1].model_copy(update={"max_latency_ms": 1e-6})]
    with pytest.raises(InfeasibleError, match="max_two_latency_ms"):
        search_devices(known.space, impossible, settings, known.accuracy, predictors, 0, Silent())
