"""Whole-network corrections: the law that made the data is found again, and intervals hold what they promise."""

from __future__ import annotations

import numpy as np
import pytest

from predictors.correction import NAMES, Sums, choose, conformal


def sums(n: int, rng: np.random.Generator) -> Sums:
    """Networks of 6 to 20 operators in four families that were measured (and one that was not)."""
    count = rng.integers(6, 20, size=n).astype(float)
    shares = rng.dirichlet(np.ones(4), size=n) * (count * rng.uniform(0.1, 0.4, size=n))[:, None]
    return Sums(np.column_stack((shares, np.zeros(n))), count)


LAWS = {
    "sum": lambda s: s.total,
    "scale": lambda s: 0.8 * s.total,
    "scale + constant": lambda s: 0.8 * s.total + 1.5,
    "scale + count + constant": lambda s: 0.9 * s.total - 0.05 * s.count + 0.4,
    "families + constant": lambda s: s.by_family @ np.array([0.5, 1.0, 1.6, 0.9, 1.0]) + 0.3,
}


@pytest.mark.parametrize("name", NAMES)
def test_the_law_behind_the_networks_is_found(name: str) -> None:
    rng = np.random.default_rng(0)
    fit, new = sums(40, rng), sums(200, rng)
    correction = choose(fit, LAWS[name](fit) * np.exp(0.01 * rng.normal(size=40)))
    assert correction.name == name
    assert np.abs(correction(new) / LAWS[name](new) - 1).mean() < 0.02


def test_intervals_cover_nine_tenths_of_new_networks() -> None:
    covered = []
    for seed in range(30):
        rng = np.random.default_rng(seed)
        fit, new = sums(30, rng), sums(200, rng)
        law = LAWS["scale + constant"]
        correction = choose(fit, law(fit) * np.exp(0.05 * rng.normal(size=30)))
        ratio = np.log(law(new) * np.exp(0.05 * rng.normal(size=200)) / correction(new))
        covered.append((np.abs(ratio) <= correction.interval).mean())
    assert 0.86 < np.mean(covered) < 0.96


@pytest.mark.parametrize("n", [4, 8, 9, 19, 60])
def test_conformal_half_width_covers_exchangeable_residuals(n: int) -> None:
    rng = np.random.default_rng(n)
    draws = np.abs(rng.normal(size=(4000, n + 1)))
    widths = np.array([conformal(row[:-1], 0.9) for row in draws])
    assert 0.885 < (draws[:, -1] <= widths).mean() < 0.96


def test_few_networks_choose_only_what_they_can_carry() -> None:
    rng = np.random.default_rng(1)
    none = choose(sums(0, rng), np.zeros(0))
    assert none.name == "sum"
    assert np.isnan(none.interval)
    for n, legal in ((1, {"sum"}), (4, {"sum", "scale"}), (7, set(NAMES) - {"families + constant"})):
        s = sums(n, rng)
        assert choose(s, LAWS["families + constant"](s)).name in legal


def test_a_correction_never_predicts_nothing_or_less() -> None:
    rng = np.random.default_rng(2)
    fit = sums(30, rng)
    correction = choose(fit, 0.9 * fit.total - 0.05 * fit.count)
    tiny = Sums(np.array([[0.01, 0, 0, 0, 0.0]]), np.array([40.0]))
    assert correction(tiny)[0] > 0
