"""What a process chooses for itself, against the likelihoods of scipy."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from predictors.ceiling import Ceiling
from predictors.code_features import CodeFeatures
from predictors.process import HEIGHTS, LENGTHS, NOISES, SLOPES, Kernel, ProcessPredictor
from predictors.scaling import FeatureScale

FEATURES = CodeFeatures([4] * 6)
RNG = np.random.default_rng(0)
ROWS = np.unique(RNG.integers(0, 4, (300, 6)), axis=0)[RNG.permutation(200)]
SUMS = RNG.random((6, 4))[np.arange(6), ROWS].sum(axis=1)
CROWDED = -np.exp(-3.0 * SUMS)


def _likelihood(y: np.ndarray, kernel: Kernel) -> float:
    """Of scores themselves: that of targets, times how fast these change, by differences."""
    F = FEATURES(ROWS[: len(y)]).astype(np.float64)
    Z = FeatureScale(F, FEATURES.genes)(F)
    apart = np.sqrt(((Z[:, None] - Z) ** 2).sum(axis=2))
    covariance = np.exp(-apart / kernel.length / np.median(apart)) + kernel.slope * Z @ Z.T / Z.shape[1]
    covariance += kernel.noise * np.eye(len(y))
    ceiling = Ceiling(y, kernel.above)
    target = ceiling.forward(y)
    target = target - target.mean()
    step = 1e-6 * np.ptp(y)
    slopes = (ceiling.forward(y + step) - ceiling.forward(y - step)) / (2 * step)
    variance = float(target @ np.linalg.solve(covariance, target)) / len(y)
    return float(multivariate_normal.logpdf(target, cov=variance * covariance) + np.log(slopes).sum())


@pytest.mark.parametrize("y", [SUMS[:25], CROWDED[:25]])
def test_the_kernel_and_the_ceiling_are_those_of_the_largest_likelihood_of_the_scores(y: np.ndarray) -> None:
    chosen = ProcessPredictor(FEATURES).fit(ROWS[: len(y)], y).kernel
    grid = itertools.product(LENGTHS, SLOPES, NOISES[::2], HEIGHTS)
    assert _likelihood(y, chosen) >= max(_likelihood(y, Kernel(*values)) for values in grid) - 1e-6


def test_scores_that_crowd_below_their_best_have_a_low_ceiling_and_sums_a_high_one() -> None:
    sums = ProcessPredictor(FEATURES).fit(ROWS[:80], SUMS[:80])
    crowded = ProcessPredictor(FEATURES).fit(ROWS[:80], CROWDED[:80])
    assert sums.kernel.above == HEIGHTS[-1]
    assert crowded.kernel.above < HEIGHTS[-1]
    high = ProcessPredictor(FEATURES, Kernel(**{**vars(crowded.kernel), "above": HEIGHTS[-1]})).fit(
        ROWS[:80], CROWDED[:80]
    )
    best = 80 + np.argsort(-CROWDED[80:])[:60]
    missed = [np.abs(one.predict(ROWS[best])[0] - CROWDED[best]).mean() for one in (crowded, high)]
    assert missed[0] < missed[1]


def test_units_do_not_matter() -> None:
    plain, scaled = (ProcessPredictor(FEATURES).fit(ROWS[:60], y) for y in (CROWDED[:60], 40 * CROWDED[:60] + 7))
    assert plain.kernel == scaled.kernel
    mean, std = plain.predict(ROWS)
    far, wide = scaled.predict(ROWS)
    assert far == pytest.approx(40 * mean + 7, rel=1e-6)
    assert wide == pytest.approx(40 * std, rel=1e-6)
