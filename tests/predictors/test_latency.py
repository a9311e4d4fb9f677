"""The latency predictor on real latency tables whose numbers come from a known device."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from hardware.device import Device
from hardware.measurement import Measurement
from hardware.table import LatencyTable
from predictors import LatencyPredictor, PredictorError
from predictors.features import work
from search_spaces.architecture import Architecture
from search_spaces.operators import family
from search_spaces.space import SearchSpace
from search_spaces.spaces import get_space
from search_spaces.spec import OperatorSpec

CALL = 0.02  # ms that an operator measured alone pays, and a network pays once


def operator_ms(spec: OperatorSpec) -> float:
    macs, activations = work(spec)
    slowness = {"attention": 1.6, "ssm": 2.2}.get(family(spec.name), 1.0)
    return CALL + slowness * macs / 5e7 + activations / 2e7


def network_ms(architecture: Architecture) -> float:
    return 0.3 + 1.1 * sum(operator_ms(spec) - 0.8 * CALL for spec in architecture.specs)


def measurements(ms: dict[str, float], noise: float, rng: np.random.Generator) -> list[Measurement]:
    return [
        Measurement.from_rounds(key, [value / 1e3 * np.exp(noise * rng.normal() + 0.002 * rng.normal(size=20))])
        for key, value in ms.items()
    ]


def table(space: SearchSpace, share: float, fit: int, validate: int, noise: float, seed: int = 0) -> LatencyTable:
    """A table that measured ``share`` of the specs (10 of each operator at least) and so many networks."""
    rng = np.random.default_rng(seed)
    groups: dict[str, list[OperatorSpec]] = {}
    for spec in space.specs():
        groups.setdefault(spec.name, []).append(spec)
    chosen = [
        specs[i]
        for specs in groups.values()
        for i in rng.permutation(len(specs))[: max(round(share * len(specs)), min(10, len(specs)))]
    ]
    runtime = {"runtime": "torch", "precision": "fp32", "threads": 1, "versions": {"torch": "2"}}
    result = LatencyTable.create(device=Device.local(), runtime=runtime, batch=1, space=space.definition)
    result = result.with_operators(measurements({s.canonical: operator_ms(s) for s in chosen}, noise, rng))
    rows = space.sample(fit + validate, rng)
    keys = {json.dumps(a.to_json()): network_ms(a) for a in map(space.architecture, rows)}
    measured = measurements(keys, noise, rng)
    for role, part in (("fit", measured[:fit]), ("validate", measured[fit:])):
        result = result.with_networks(part, role) if part else result
    return result


@pytest.fixture(scope="module")
def space() -> SearchSpace:
    return get_space("hybrid-vision/tiny")


@pytest.fixture(scope="module")
def predictor(space: SearchSpace) -> LatencyPredictor:
    return LatencyPredictor(space, table(space, 0.15, 30, 60, noise=0.01))


def truth(space: SearchSpace, X: np.ndarray) -> np.ndarray:
    return np.array([network_ms(space.architecture(row)) for row in X])


def test_a_known_law_is_recovered_within_3_percent(space: SearchSpace, predictor: LatencyPredictor) -> None:
    X = space.sample(300, np.random.default_rng(7))
    ms = truth(space, X)
    found = predictor.predict(X)
    assert np.abs(found.mean_ms / ms - 1).mean() < 0.03
    assert 0.8 < predictor.estimated_share < 0.87


def test_the_plain_sum_would_not_have_done(space: SearchSpace) -> None:
    plain = LatencyPredictor(space, table(space, 0.15, 0, 40, noise=0.01))
    assert np.isnan(plain.expected_error)
    assert plain.validation["mape"] > 0.06
    assert plain.validation["coverage_90"] is None
    X = space.sample(5, np.random.default_rng(0))
    assert np.isnan(plain.predict(X).low_ms).all()
    assert np.isfinite(plain.predict(X).mean_ms).all()


def test_validation_is_what_the_validate_networks_say(space: SearchSpace) -> None:
    measured = table(space, 0.15, 30, 60, noise=0.01)
    predictor = LatencyPredictor(space, measured)
    held_out = measured.networks[measured.networks["role"] == "validate"]
    guesses = [predictor.predict_one(Architecture.from_json(json.loads(key))) for key in held_out["key"]]
    ms = held_out["median_ms"].to_numpy()
    relative = np.abs(np.array([g.mean_ms for g in guesses]) / ms - 1)
    report = predictor.validation
    assert set(report) == {"mape", "within_5", "within_10", "spearman", "kendall", "coverage_90", "networks"}
    assert report["networks"] == 60
    assert report["mape"] == pytest.approx(relative.mean())
    assert report["within_10"] == (relative <= 0.1).mean() == 1.0
    assert report["within_5"] == (relative <= 0.05).mean()
    inside = [g.low_ms <= m <= g.high_ms for g, m in zip(guesses, ms, strict=True)]
    assert report["coverage_90"] == pytest.approx(np.mean(inside))
    assert report["spearman"] > 0.99
    assert report["kendall"] > 0.9
    assert LatencyPredictor(space, table(space, 0.15, 12, 0, noise=0.01)).validation["networks"] == 0


def test_nothing_is_fitted_to_the_validate_networks(space: SearchSpace, predictor: LatencyPredictor) -> None:
    measured = table(space, 0.15, 30, 60, noise=0.01)
    lies = measured.networks.copy()
    lies.loc[lies["role"] == "validate", "median_ms"] *= 3.0
    misled = LatencyPredictor(space, LatencyTable(measured.header, measured.operators, lies))
    X = space.sample(50, np.random.default_rng(1))
    assert np.array_equal(misled.predict(X).mean_ms, predictor.predict(X).mean_ms)
    assert misled.validation["mape"] > 0.5


def test_intervals_cover_new_networks_over_many_tables(space: SearchSpace) -> None:
    small = space.restrict({"stage*.layer*.mixer": ["mbconv", "mhsa", "nc_ssd"], "resolution": [16]})
    coverage = [
        LatencyPredictor(small, table(small, 0.3, 25, 60, noise=0.04, seed=seed)).validation["coverage_90"]
        for seed in range(6)
    ]
    assert 0.8 < np.mean(coverage) <= 0.98


def test_measured_operators_keep_their_median(space: SearchSpace) -> None:
    measured = table(space, 0.1, 0, 0, noise=0.2)
    predictor = LatencyPredictor(space, measured)
    for key, ms in zip(measured.operators["key"][:50], measured.operators["median_ms"][:50], strict=True):
        assert predictor.operator_ms(OperatorSpec.parse(key)) == ms


def test_one_architecture_and_a_matrix_agree(space: SearchSpace, predictor: LatencyPredictor) -> None:
    X = space.sample(20, np.random.default_rng(2))
    many = predictor.predict(X)
    for i, row in enumerate(X):
        one = predictor.predict_one(space.architecture(row))
        assert (one.mean_ms, one.low_ms, one.high_ms) == pytest.approx(
            (many.mean_ms[i], many.low_ms[i], many.high_ms[i])
        )
        assert 0 < one.low_ms < one.mean_ms < one.high_ms


def test_saved_and_loaded_tables_predict_the_same(
    space: SearchSpace, predictor: LatencyPredictor, tmp_path: Path
) -> None:
    table(space, 0.15, 30, 60, noise=0.01).save(tmp_path / "table")
    again = LatencyPredictor(space, LatencyTable.load(tmp_path / "table"))
    X = space.sample(50, np.random.default_rng(3))
    assert np.array_equal(again.predict(X).mean_ms, predictor.predict(X).mean_ms)
    assert again.validation == predictor.validation


def test_minimum_is_below_every_random_row_and_is_its_own_latency(
    space: SearchSpace, predictor: LatencyPredictor
) -> None:
    row, ms = predictor.minimum(np.random.default_rng(4))
    assert predictor.predict(row[None]).mean_ms[0] == ms
    assert ms < predictor.predict(space.sample(20_000, np.random.default_rng(5))).mean_ms.min()


def test_a_restricted_space_needs_only_its_own_operators(space: SearchSpace) -> None:
    conv = space.restrict({"stage*.layer*.mixer": ["mbconv", "convnext"]})
    measured = table(conv, 0.2, 12, 12, noise=0.01)
    assert LatencyPredictor(conv, measured).validation["mape"] < 0.05
    with pytest.raises(PredictorError, match=r"operator '\w+' was never measured; measured operators: conv_stem"):
        LatencyPredictor(space, measured)


def test_unreadable_keys_are_named(space: SearchSpace) -> None:
    good = table(space, 0.05, 4, 0, noise=0.01)
    for column, frame, words in (
        ("operators", good.operators.copy(), "operator .nonsense. is none of this release"),
        ("networks", good.networks.copy(), "'fit' network has a key that is not an architecture"),
    ):
        frame.loc[0, "key"] = "nonsense"
        frames = {"operators": good.operators, "networks": good.networks} | {column: frame}
        with pytest.raises(PredictorError, match=words):
            LatencyPredictor(space, LatencyTable(good.header, **frames))
