"""Groups that are left out together."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from predictors import PredictorError
from predictors.folds import group_folds
from predictors.in_device import InDevicePredictor
from predictors.latency_features import NumberParts


@given(st.lists(st.integers(0, 12), min_size=1, max_size=80), st.integers(2, 8), st.integers(0, 99))
def test_no_group_is_in_two_folds(groups: list[int], folds: int, seed: int) -> None:
    fold = group_folds(np.array(groups), folds, np.random.default_rng(seed))
    for group in set(groups):
        assert len(set(fold[np.array(groups) == group])) == 1
    assert set(fold) == set(range(min(folds, len(set(groups)))))  # none is empty
    largest = max(groups.count(group) for group in groups)
    assert np.ptp(np.bincount(fold)) <= largest


def families(rng: np.random.Generator, groups: int, each: int = 8) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Networks of families: numbers, latencies of which a family shares a factor of its own, and the family of each."""
    family = np.repeat(np.arange(groups), each)
    X = np.exp(rng.normal(size=(groups, 3)))[family] * np.exp(0.05 * rng.normal(size=(len(family), 3)))
    factor = np.exp(0.5 * rng.normal(size=groups))[family]
    return X, X.sum(axis=1) * factor * np.exp(0.02 * rng.normal(size=len(family))), family


def test_intervals_for_families_never_seen_need_families_left_out() -> None:
    rng = np.random.default_rng(0)
    X, ms, family = families(rng, 30)
    other, true, _ = families(rng, 60)
    held = {}
    for groups in (None, family):
        mean, std = InDevicePredictor(NumberParts.of(X)).fit(X, ms, groups).predict(other)
        held[groups is None] = float((np.abs(mean - np.log(true)) <= 1.645 * std).mean())
    assert held[True] < 0.6 < 0.8 < held[False], held


def test_a_saved_predictor_keeps_its_groups(tmp_path: Path) -> None:
    X, ms, family = families(np.random.default_rng(1), 6)
    made = InDevicePredictor(NumberParts.of(X)).fit(X, ms, family)
    made.save(tmp_path / "p.npz")
    for found, expected in zip(InDevicePredictor.load(tmp_path / "p.npz").predict(X), made.predict(X), strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("groups", [np.zeros(16, int), np.arange(5)])
def test_groups_that_cannot_be_left_out_are_refused(groups: np.ndarray) -> None:
    X, ms, _ = families(np.random.default_rng(1), 2)
    with pytest.raises(PredictorError, match="groups: expected 16 numbers of at least 2 groups"):
        InDevicePredictor(NumberParts.of(X)).fit(X, ms, groups)
