"""The interval of the median against SciPy's binomial and against simulation; the order of timing; the noise floor."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from hardware.errors import HardwareError
from hardware.statistics import interleaved_order, least_disturbed, median_interval, median_ranks, noise_floor


@given(st.integers(6, 3000), st.sampled_from([0.8, 0.9, 0.95, 0.99]))
def test_ranks_are_the_narrowest_with_the_promised_coverage(n: int, confidence: float) -> None:
    low, high = median_ranks(n, confidence)
    assert high == n - 1 - low
    coverage = 1 - 2 * binom.cdf(low, n, 0.5)
    narrower = 1 - 2 * binom.cdf(low + 1, n, 0.5)
    if low == 0 and coverage < confidence:  # too few samples: the whole range is the best there is
        assert binom.cdf(0, n, 0.5) > (1 - confidence) / 2
    else:
        assert coverage >= confidence - 1e-12
        assert narrower < confidence


def test_interval_covers_the_true_median_of_a_skewed_distribution() -> None:
    rng = np.random.default_rng(0)
    samples = rng.lognormal(size=(3000, 61))
    hits = [low <= 1.0 <= high for low, high in map(median_interval, samples)]
    exact = 1 - 2 * binom.cdf(median_ranks(61)[0], 61, 0.5)
    assert np.mean(hits) == pytest.approx(exact, abs=0.015)


@given(st.lists(st.floats(1e-6, 1e3), min_size=1, max_size=200), st.floats(0.1, 10))
def test_interval_encloses_the_median_and_scales(samples: list[float], factor: float) -> None:
    low, high = median_interval(samples)
    assert low <= np.median(samples) <= high
    scaled = median_interval(np.array(samples) * factor)
    assert scaled == pytest.approx((low * factor, high * factor))


@pytest.mark.parametrize(("n", "confidence"), [(0, 0.95), (5, 1.0), (5, 0.0)])
def test_ranks_refuse_nonsense(n: int, confidence: float) -> None:
    with pytest.raises(HardwareError, match="must"):
        median_ranks(n, confidence)


@settings(max_examples=50)
@given(st.integers(1, 60), st.integers(1, 6), st.integers(0, 2**31))
def test_every_round_is_a_permutation_and_the_seed_decides(candidates: int, rounds: int, seed: int) -> None:
    order = interleaved_order(candidates, rounds, seed)
    assert order.shape == (rounds, candidates)
    assert (np.sort(order, axis=1) == np.arange(candidates)).all()
    assert (order == interleaved_order(candidates, rounds, seed)).all()


def test_rounds_differ_in_order() -> None:
    order = interleaved_order(30, 4, seed=1)
    assert len({tuple(row) for row in order}) == 4


def test_the_noise_floor_is_how_far_one_half_of_the_rounds_is_from_the_other() -> None:
    calm, noisy = [[2.0], [2.0], [9.0]], [[1.0, 1.0], [1.3], [1.1], [1.2]]
    assert noise_floor([noisy, calm]) == pytest.approx((1 - 1.0 / 1.2) / 2)
    assert noise_floor([[[1.0, 2.0]]]) is None


def test_the_least_disturbed_round_has_the_smallest_median() -> None:
    assert least_disturbed([[1.0, 3.0, 3.0], [2.0, 2.0, 2.0], [1.9, 2.1, 9.0]]) == 1
