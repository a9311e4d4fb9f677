"""Scores seen from a ceiling."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from predictors.ceiling import Ceiling

scores = arrays(np.float64, st.integers(2, 40), elements=st.floats(-1e3, 1e3).map(lambda x: round(x, 3)))


@given(scores)
def test_there_and_back(y: np.ndarray) -> None:
    ceiling = Ceiling(y)
    t = ceiling.forward(y)
    assert np.isfinite(t).all()
    assert ceiling.back(t) == pytest.approx(y, abs=1e-6 * (1 + np.ptp(y)))
    order = np.argsort(y, kind="stable")
    assert (np.diff(t[order]) >= 0).all()


@given(scores, st.floats(0.1, 100), st.floats(-50, 50))
def test_units_do_not_matter(y: np.ndarray, factor: float, shift: float) -> None:
    assert Ceiling(y * factor + shift).forward(y * factor + shift) == pytest.approx(
        Ceiling(y).forward(y), abs=1e-4 + 1e-9 / max(float(np.ptp(y)), 1e-9)
    )


def test_a_small_spread_keeps_its_size() -> None:
    """To first order a standard deviation is scaled by the slope of the way back."""
    y = np.linspace(60, 95, 50)
    ceiling = Ceiling(y)
    t = ceiling.forward(y)
    slope = (ceiling.back(t + 1e-6) - ceiling.back(t - 1e-6)) / 2e-6
    assert ceiling.spread_back(t, np.full(50, 1e-3)) == pytest.approx(1e-3 * slope, rel=1e-4)


def test_a_long_bad_tail_is_drawn_in() -> None:
    y = np.r_[np.linspace(85, 94, 90), np.linspace(10, 60, 10)]
    t = Ceiling(y).forward(y)
    tail = [
        (values.max() - values.min()) / (np.quantile(values, 0.95) - np.quantile(values, 0.25)) for values in (y, t)
    ]
    assert tail[1] < 0.7 * tail[0]
