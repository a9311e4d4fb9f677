"""Few-shot transfer from latency tables of devices of our own making."""

from __future__ import annotations

import json

import numpy as np
import pytest

from hardware.device import Device
from hardware.measurement import Measurement
from hardware.table import LatencyTable
from predictors import PredictorError
from predictors.calibrated import CalibratedPredictor, errors_of, moved
from predictors.features import work
from predictors.latency import LatencyPrediction
from search_spaces import make_space
from search_spaces.spec import OperatorSpec

DEFINITION = {"name": "hybrid-vision", "preset": "tiny", "resolutions": [8, 12], "in_channels": 1}
SPACE = make_space({**DEFINITION, "mixers": ["mbconv", "mhsa", "nc_ssd"]})
NAMES = sorted({spec.name for spec in SPACE.specs()})


class Law:
    """A device: what a MAC of every operator takes, and a call."""

    def __init__(self, seed: int, speed: float) -> None:
        rng = np.random.default_rng(seed)
        self._mac = {name: float(rng.uniform(0.7, 1.4)) / speed for name in NAMES}

    def ms(self, spec: OperatorSpec) -> float:
        return 0.02 + self._mac[spec.name] * work(spec)[0]

    def network(self, row: np.ndarray) -> float:
        return 0.1 + sum(self.ms(spec) for spec in SPACE.architecture(row).specs)

    def table(self, rows: np.ndarray) -> LatencyTable:
        runtime = {"runtime": "torch", "precision": "fp32", "threads": 1, "versions": {}}
        table = LatencyTable.create(device=Device("known", "cpu"), runtime=runtime, batch=1, space=SPACE.definition)
        specs = SPACE.specs()[::4] + [next(s for s in SPACE.specs() if s.name == name) for name in NAMES]
        table = table.with_operators(_measured(s.canonical, self.ms(s)) for s in dict.fromkeys(specs))
        keys = {json.dumps(SPACE.architecture(row).to_json()): self.network(row) for row in rows}
        return table.with_networks((_measured(*item) for item in keys.items()), "fit")


def _measured(key: str, ms: float) -> Measurement:
    return Measurement.from_rounds(key, [[ms / 1e3] * 3])


ROWS = SPACE.sample(200, np.random.default_rng(0))
TABLES = [Law(1, 5e7).table(ROWS[:20]), Law(2, 1e7).table(ROWS[10:30])]
NEW = Law(3, 2e7)
MS = np.array([NEW.network(row) for row in ROWS])


@pytest.fixture(scope="module")
def predictor() -> CalibratedPredictor:
    return CalibratedPredictor(SPACE, TABLES)


def test_ten_chosen_networks_tell_the_device(predictor: CalibratedPredictor) -> None:
    chosen = predictor.choose(ROWS, 10)
    assert len(set(chosen.tolist())) == 10
    predictor.fit(ROWS[chosen], MS[chosen])
    rest = np.setdiff1d(np.arange(len(ROWS)), chosen)
    found = predictor.judge(ROWS[rest], MS[rest])
    assert found["networks"] == 190
    assert found["mape"] < 0.1
    assert found["spearman"] > 0.95
    assert found["coverage_90"] > 0.75
    one = predictor.predict_one(SPACE.architecture(ROWS[0]))
    many = predictor.predict(ROWS)
    assert (one.mean_ms, one.low_ms, one.high_ms) == pytest.approx(
        (many.mean_ms[0], many.low_ms[0], many.high_ms[0]), rel=1e-9
    )


def test_choosing_goes_on_from_what_was_measured(predictor: CalibratedPredictor) -> None:
    """A design that is chosen step by step is the same, whether its first steps were measured already or not."""
    whole = predictor.choose(ROWS, 8)
    assert np.array_equal(predictor.choose(ROWS, 5, ROWS[whole[:3]]), whole[3:])


def test_left_out_errors_are_those_of_fits_without_each(predictor: CalibratedPredictor) -> None:
    rows, ms = ROWS[40:46], MS[40:46]
    before = predictor.fit(rows, ms).predict(ROWS).mean_ms
    found = predictor.left_out()
    assert np.array_equal(predictor.predict(ROWS).mean_ms, before)  # asking changes nothing
    missed = []
    for out in range(6):
        others = np.arange(6) != out
        guess = predictor.fit(rows[others], ms[others]).predict(rows[[out]])
        missed.append(abs(guess.mean_ms[0] / ms[out] - 1))
    assert found["networks"] == 6
    assert found["mape"] == pytest.approx(np.mean(missed), rel=1e-9)
    assert predictor.fit(rows[:3], ms[:3]).left_out()["mape"] is None  # two are too few for a fit


def test_the_same_network_moves_between_spaces_and_others_are_refused() -> None:
    wide = make_space(DEFINITION)
    for row in ROWS[:5]:
        network = SPACE.architecture(row)
        there = moved(network, wide)
        assert there.space.definition == wide.definition
        assert moved(there, SPACE) == network
    other = make_space({**DEFINITION, "classes": 3})
    with pytest.raises(PredictorError, match="is none of"):
        moved(SPACE.architecture(ROWS[0]), other)


def test_errors_are_none_where_there_is_nothing_to_judge() -> None:
    assert errors_of(LatencyPrediction(*np.zeros((3, 0))), np.zeros(0))["mape"] is None
    flat = errors_of(LatencyPrediction(np.ones(4), np.full(4, 0.5), np.full(4, 2.0)), np.array([1.0, 1.04, 0.8, 3.0]))
    assert flat["spearman"] is None
    assert (flat["within_5"], flat["coverage_90"]) == (0.5, 0.75)


def test_no_tables_are_refused() -> None:
    with pytest.raises(PredictorError, match="tables: got none"):
        CalibratedPredictor(SPACE, [])
