"""The accuracy predictor against known functions of a real space."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import spearmanr

from predictors import AccuracyPredictor, PredictorError, features_of
from predictors.features import ArchitectureFeatures, work
from search_spaces.space import SearchSpace
from search_spaces.spaces import get_space


@pytest.fixture(scope="module")
def space() -> SearchSpace:
    return get_space("hybrid-vision/tiny")


@pytest.fixture(scope="module")
def truth(space: SearchSpace) -> Callable[[np.ndarray], np.ndarray]:
    """Accuracy (n,) from operator preferences, size, and a preference that turns round with the resolution."""
    rng = np.random.default_rng(9)
    liking = {name: rng.normal() for name in sorted({spec.name for spec in space.specs()})}
    score = space.additive(lambda spec: liking[spec.name] + 0.3 * np.log1p(work(spec)[0]))
    convs = space.additive(lambda spec: float(spec.name in ("mbconv", "convnext")))

    def accuracy(X: np.ndarray) -> np.ndarray:
        turn = (X[:, space.index["resolution"]] - 1.0) * convs.score(X)
        return 0.5 + 0.3 * np.tanh((score.score(X) - 45.0) / 15.0 + 0.05 * turn)

    return accuracy


def test_features_tell_architectures_apart_and_hide_inactive_genes(space: SearchSpace) -> None:
    features = ArchitectureFeatures(space)
    X = space.sample(200, np.random.default_rng(0))
    F = features(X)
    assert F.shape == (200, features.width)
    assert len(np.unique(F, axis=0)) == len(np.unique(X, axis=0))
    assert F[:, : features.genes].sum(axis=1) == pytest.approx(space.active(X).sum(axis=1))
    for row, f in zip(X[:20], F[:20], strict=True):
        architecture = space.architecture(row)
        assert f[-2] == pytest.approx(np.log1p(sum(work(spec)[0] for spec in architecture.specs)), rel=1e-5)


@pytest.mark.parametrize(("n", "least"), [(50, 0.6), (200, 0.85)])
def test_ranks_held_out_architectures(space: SearchSpace, truth: Callable, n: int, least: float) -> None:
    rng = np.random.default_rng(1)
    X, held_out = space.sample(n, rng), space.sample(1000, rng)
    mean, _ = AccuracyPredictor(features_of(space)).fit(X, truth(X)).predict(held_out)
    assert spearmanr(mean, truth(held_out))[0] > least
    constant = np.abs(truth(held_out) - truth(X).mean()).mean()
    assert np.abs(mean - truth(held_out)).mean() < 0.7 * constant


@pytest.mark.parametrize("noise", [0.0, 0.03])
def test_90_percent_intervals_hold_about_90_percent(space: SearchSpace, truth: Callable, noise: float) -> None:
    rng = np.random.default_rng(2)
    X, held_out = space.sample(150, rng), space.sample(1500, rng)
    y, seen = (truth(rows) + noise * rng.normal(size=len(rows)) for rows in (X, held_out))
    mean, std = AccuracyPredictor(features_of(space)).fit(X, y).predict(held_out)
    assert 0.82 < (np.abs(mean - seen) < 1.645 * std).mean() < 0.98
    assert std.min() > 0.9 * noise


def test_is_less_certain_where_it_was_never_trained(space: SearchSpace, truth: Callable) -> None:
    small = space.restrict({"stage*.layer*.mixer": ["mbconv", "convnext"], "stage*.depth": [1], "resolution": [16]})
    rng = np.random.default_rng(3)
    X = small.sample(120, rng)
    predictor = AccuracyPredictor(features_of(space)).fit(X, truth(X))
    _, near = predictor.predict(small.sample(300, rng))
    _, far = predictor.predict(space.sample(300, rng))
    assert np.median(far) > 1.2 * np.median(near)


def test_is_deterministic_and_does_not_depend_on_the_batch(space: SearchSpace, truth: Callable) -> None:
    rng = np.random.default_rng(4)
    X, rows = space.sample(60, rng), space.sample(50, rng)
    first = AccuracyPredictor(features_of(space), seed=3).fit(X, truth(X)).predict(rows)
    again = AccuracyPredictor(features_of(space), seed=3).fit(X, truth(X))
    assert np.array_equal(first, again.predict(rows))
    assert again.predict(rows[7:8])[0] == pytest.approx(first[0][7:8])
    assert not np.array_equal(first[0], AccuracyPredictor(features_of(space), seed=4).fit(X, truth(X)).predict(rows)[0])


@pytest.mark.parametrize("n", [2, 3, 8])
def test_very_few_rows_give_finite_answers(space: SearchSpace, truth: Callable, n: int) -> None:
    rng = np.random.default_rng(5)
    X = space.sample(n, rng)
    mean, std = AccuracyPredictor(features_of(space)).fit(X, truth(X)).predict(space.sample(100, rng))
    assert np.isfinite(mean).all()
    assert (std > 0).all()


def test_equal_accuracies_are_predicted_as_such(space: SearchSpace) -> None:
    X = space.sample(40, np.random.default_rng(6))
    mean, std = AccuracyPredictor(features_of(space)).fit(X, np.full(40, 0.7)).predict(X)
    assert mean == pytest.approx(0.7)
    assert std == pytest.approx(0.0, abs=1e-6)


def test_what_cannot_be_fitted_is_refused_by_name(space: SearchSpace) -> None:
    X = space.sample(5, np.random.default_rng(7))
    predictor = AccuracyPredictor(features_of(space))
    with pytest.raises(PredictorError, match="call fit"):
        predictor.predict(X)
    with pytest.raises(PredictorError, match="at least 2 evaluated rows are needed, got 1"):
        predictor.fit(X[:1], np.zeros(1))
    with pytest.raises(PredictorError, match="X: expected rows of"):
        predictor.fit(X[:, :4], np.zeros(5))
    with pytest.raises(PredictorError, match="y: expected 5 finite scores"):
        predictor.fit(X, np.array([0.1, 0.2, np.nan, 0.3, 0.4]))
