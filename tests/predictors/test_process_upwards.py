"""Uncertainty towards better scores: that of the half which a search hopes for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from predictors.ceiling import COVERED, Ceiling
from predictors.code_features import CodeFeatures
from predictors.process import HEIGHTS, Kernel, ProcessPredictor

RNG = np.random.default_rng(0)
ROWS = RNG.integers(0, 4, (200, 6))
SCORES = -np.exp(-3.0 * RNG.random((6, 4))[np.arange(6), ROWS].sum(axis=1))


@given(st.floats(-5, 5), st.floats(0, 5), st.sampled_from(HEIGHTS))
def test_the_upper_end_of_the_interval_is_met_and_the_ceiling_is_not_crossed(t: float, spread: float, h: float) -> None:
    ceiling = Ceiling(SCORES, h)
    middle, wide = np.array([t]), np.array([spread])
    rise = ceiling.rise(middle, wide)
    assert ceiling.back(middle) + COVERED * rise == pytest.approx(ceiling.back(middle + COVERED * wide))
    assert (ceiling.back(middle) + COVERED * rise <= ceiling.back(np.array([np.inf])) + 1e-9).all()
    assert (rise <= ceiling.spread_back(middle, wide) + 1e-12).all()  # the longer tail is the worse one


def test_what_is_hoped_for_of_scores_that_crowd_stays_below_their_ceiling() -> None:
    kernel = Kernel(1.0, 0.0, 0.1, above=HEIGHTS[0])
    fitted = ProcessPredictor(CodeFeatures([4] * 6), kernel).fit(ROWS[:40], SCORES[:40])
    top = Ceiling(SCORES[:40], HEIGHTS[0]).back(np.array([np.inf]))[0]
    mean, both = fitted.predict(ROWS[40:])
    same, better = fitted.predict(ROWS[40:], upwards=True)
    assert np.array_equal(mean, same)
    assert (mean + COVERED * better <= top + 1e-12).all()
    assert (mean + COVERED * both > top).any()  # as two equal halves they would go beyond
