"""Latency on one device from whole networks, against devices of known laws."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr

from predictors import PredictorError
from predictors.additive import Additive
from predictors.cell_features import CellFeatures
from predictors.cells import CELLS
from predictors.code_features import CodeFeatures
from predictors.in_device import InDevicePredictor
from predictors.latency_features import LatencyFeatures, NumberParts, OperatorParts, latency_features_from
from predictors.storage import write_fitted

FEATURES: list[LatencyFeatures] = [
    OperatorParts(CodeFeatures([3, 3, 3])),
    OperatorParts(CellFeatures(CELLS["nas-bench-201"])),
    NumberParts(np.array([1.0, 20.0])),
    NumberParts(np.ones(20)),
]


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**20), terms=st.integers(1, 12), unit=st.sampled_from([1e-3, 1.0, 1e4]))
def test_a_cost_that_adds_up_is_found_whatever_its_unit(seed: int, terms: int, unit: float) -> None:
    rng = np.random.default_rng(seed)
    F, price = rng.integers(4, size=(80, terms)).astype(float), rng.gamma(1.0, size=terms)
    cost = unit * (0.5 + F @ price)
    found = Additive().fit(F[:60], F[:60], np.log(cost[:60])).predict(F[60:], F[60:])
    assert np.exp(found) == pytest.approx(cost[60:], rel=1e-3)


def test_relative_errors_count_alike_among_small_and_large_costs() -> None:
    rng = np.random.default_rng(0)
    x = np.exp(rng.uniform(0, 6, size=(400, 1)))
    F = np.concatenate([x, rng.uniform(size=(400, 1)) * x], axis=1)
    cost = (1.0 + F @ [1.0, 3.0]) * np.exp(0.05 * rng.normal(size=400))
    error = np.abs(np.expm1(Additive().fit(F, F, np.log(cost)).predict(F, F) - np.log(1.0 + F @ [1.0, 3.0])))
    assert error[x[:, 0] < 20].mean() < 0.02
    assert error[x[:, 0] > 20].mean() < 0.02


def law(X: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Additive, with noise of 2 % in one half of the rows, by the first gene, and of 12 % in the other."""
    price = np.random.default_rng(1).gamma(2.0, size=(X.shape[1], 4))
    noise = np.where(X[:, 0] < 2, 0.02, 0.12)
    return 2.0 + price[np.arange(X.shape[1]), X].sum(axis=1) * np.exp(noise * rng.normal(size=len(X)))


def test_tells_latencies_and_how_certain_it_is() -> None:
    rng = np.random.default_rng(2)
    X, judged = rng.integers(4, size=(300, 6)), rng.integers(4, size=(1000, 6))
    mean, std = InDevicePredictor(OperatorParts(CodeFeatures([4] * 6))).fit(X, law(X, rng)).predict(judged)
    true = np.log(law(judged, rng))
    error = np.abs(mean - true)
    assert spearmanr(mean, true)[0] > 0.9
    assert 0.82 < (error <= 1.645 * std).mean() < 0.97
    certain = std <= np.median(std)
    assert error[certain].mean() < 0.5 * error[~certain].mean()
    assert (judged[certain, 0] < 2).mean() > 0.9


def test_numbers_are_told_by_their_products_too() -> None:
    rng = np.random.default_rng(3)
    X = rng.uniform(1, 8, size=(260, 3))
    ms = 1.0 + 0.2 * X[:, 0] * X[:, 1] + X[:, 2]
    mean, _ = InDevicePredictor(NumberParts.of(X[:200])).fit(X[:200], ms[:200]).predict(X[200:])
    assert np.exp(mean) == pytest.approx(ms[200:], rel=0.01)


@pytest.mark.parametrize("features", FEATURES, ids=lambda features: f"{features.definition['kind']}-{features.columns}")
def test_features_are_made_again_from_their_definition(features: LatencyFeatures) -> None:
    X = np.random.default_rng(4).integers(3, size=(30, features.columns))
    parts, near = features(X)
    again = latency_features_from(features.definition)
    assert len(parts) == len(near) == 30
    assert again.columns == features.columns
    assert again.genes == features.genes
    assert all(np.array_equal(a, b) for a, b in zip(again(X), (parts, near), strict=True))


@pytest.mark.parametrize("features", [FEATURES[0], FEATURES[2]], ids=["codes", "numbers"])
def test_what_is_saved_predicts_the_same(features: LatencyFeatures, tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    X = rng.integers(3, size=(20, features.columns))
    predictor = InDevicePredictor(features, seed=7).fit(X, 1.0 + X.sum(axis=1) + rng.uniform(size=20))
    predictor.save(tmp_path / "p.npz")
    assert np.array_equal(InDevicePredictor.load(tmp_path / "p.npz").predict(X), predictor.predict(X))


def test_what_cannot_be_fitted_or_read_is_refused_by_name(tmp_path: Path) -> None:
    predictor = InDevicePredictor(FEATURES[0])
    X = np.zeros((12, 3), np.int64)
    with pytest.raises(PredictorError, match="call fit"):
        predictor.predict(X)
    with pytest.raises(PredictorError, match="call fit"):
        predictor.save(tmp_path / "p.npz")
    with pytest.raises(PredictorError, match="X: expected rows of 3 columns"):
        predictor.fit(X[:, :2], np.ones(12))
    with pytest.raises(PredictorError, match="at least 10 measured rows are needed, got 9"):
        predictor.fit(X[:9], np.ones(9))
    for wrong in (np.ones(11), np.zeros(12), np.full(12, np.nan)):
        with pytest.raises(PredictorError, match="ms: expected 12 positive latencies"):
            predictor.fit(X, wrong)
    for definition in ({"kind": "magic"}, {"kind": "numbers", "scales": [0.0]}, {"kind": "operators", "features": 1}):
        with pytest.raises(PredictorError, match="features: got"):
            latency_features_from(definition)
    facts = {"features": FEATURES[0].definition, "seed": 0, "learners": ["additive"]}
    arrays = {"rows": X, "ms": np.ones(12)}
    write_fitted(tmp_path / "a.npz", "in-device-latency", facts | {"learners": ["magic"]}, arrays)
    with pytest.raises(PredictorError, match="learners: got"):
        InDevicePredictor.load(tmp_path / "a.npz")
    write_fitted(tmp_path / "b.npz", "in-device-latency", facts, arrays | {"rows": X + 0.5})
    with pytest.raises(PredictorError, match="rows: got float64; legal: integers"):
        InDevicePredictor.load(tmp_path / "b.npz")
