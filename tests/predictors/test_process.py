"""The process that searches refit as they go, against a Gaussian process of scikit-learn and on known sums."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, DotProduct, Matern

from predictors import PredictorError
from predictors.ceiling import Ceiling
from predictors.code_features import CodeFeatures
from predictors.process import BEYOND, Kernel, ProcessPredictor
from predictors.scaling import FeatureScale

FEATURES = CodeFeatures([4] * 6)
RNG = np.random.default_rng(0)
ROWS = np.unique(RNG.integers(0, 4, (400, 6)), axis=0)
WEIGHTS = RNG.random((6, 4))
SUMS = WEIGHTS[np.arange(6), ROWS].sum(axis=1)


def test_it_is_the_gaussian_process_of_scikit_learn() -> None:
    order = np.random.default_rng(1).permutation(len(ROWS))
    known, others = order[:60], order[60:160]
    ours = ProcessPredictor(FEATURES, Kernel(1.0, 0.5, 0.03)).fit(ROWS[known], SUMS[known])
    F = FEATURES(ROWS).astype(np.float64)
    scale, ceiling = FeatureScale(F[known], FEATURES.genes), Ceiling(SUMS[known])
    Z, target = scale(F), ceiling.forward(SUMS[known])
    apart = np.sqrt(((Z[known][:, None] - Z[known]) ** 2).sum(axis=2))
    kernel = Matern(np.median(apart), "fixed", nu=0.5) + ConstantKernel(0.5 / Z.shape[1], "fixed") * DotProduct(
        0, "fixed"
    )
    theirs = GaussianProcessRegressor(kernel, alpha=0.03, optimizer=None).fit(Z[known], target - target.mean())
    expected = np.clip(target.mean() + theirs.predict(Z[others]), *_range(target))
    assert ours.predict(ROWS[others])[0] == pytest.approx(ceiling.back(expected), rel=1e-6)


def _range(target: np.ndarray) -> tuple[float, float]:
    return target.min() - BEYOND * np.ptp(target), target.max() + BEYOND * np.ptp(target)


def test_sums_are_learnt_and_the_uncertainty_holds() -> None:
    inside = []
    for seed in range(5):
        order = np.random.default_rng(seed).permutation(len(ROWS))
        known, others = order[:60], order[60:]
        mean, std = ProcessPredictor(FEATURES).fit(ROWS[known], SUMS[known]).predict(ROWS[others])
        assert np.corrcoef(mean, SUMS[others])[0, 1] > 0.95
        inside.append((np.abs(mean - SUMS[others]) <= 1.645 * std).mean())
    assert np.mean(inside) > 0.85


def test_without_noise_it_is_surer_and_what_was_told_is_almost_known() -> None:
    noisy = SUMS + 0.05 * np.random.default_rng(2).standard_normal(len(SUMS))
    fitted = ProcessPredictor(FEATURES).fit(ROWS[:80], noisy[:80])
    mean, wide = fitted.predict(ROWS)
    same, narrow = fitted.predict(ROWS, noise=False)
    assert np.array_equal(mean, same)
    assert (narrow < wide).all()
    assert narrow[:80].mean() < narrow[80:].mean()


def test_a_kernel_can_be_kept_and_fits_are_deterministic() -> None:
    first = ProcessPredictor(FEATURES).fit(ROWS[:50], SUMS[:50])
    kept = ProcessPredictor(FEATURES, first.kernel).fit(ROWS[:50], SUMS[:50])
    for one, other in zip(first.predict(ROWS), kept.predict(ROWS), strict=True):
        assert np.array_equal(one, other)


def test_wrong_calls_are_named() -> None:
    with pytest.raises(PredictorError, match="call fit"):
        ProcessPredictor(FEATURES).predict(ROWS)
    for X, y in ((ROWS[:1], SUMS[:1]), (ROWS[:5], SUMS[:4]), (ROWS[:5], np.full(5, np.nan))):
        with pytest.raises(PredictorError, match="at least 2 finite scores"):
            ProcessPredictor(FEATURES).fit(X, y)
