"""Pareto tools against O(n^2) definitions and Monte Carlo."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from nas.search import pareto


def points(low: int = 0, high: int = 6, most: int = 25) -> st.SearchStrategy[np.ndarray]:
    """Small integer points: many ties and copies."""
    shape = st.tuples(st.integers(1, most), st.integers(2, 3))
    return shape.flatmap(lambda s: arrays(np.float64, s, elements=st.integers(low, high).map(float)))


def dominated_by(F: np.ndarray) -> np.ndarray:
    """(n, n): does column j dominate row i? By the definition."""
    n = len(F)
    return np.array([[bool((F[j] <= F[i]).all() and (F[j] < F[i]).any()) for j in range(n)] for i in range(n)])


@given(points())
def test_non_dominated_is_the_definition(F: np.ndarray) -> None:
    assert pareto.non_dominated(F).tolist() == (~dominated_by(F).any(axis=1)).tolist()


@given(points())
def test_non_dominated_is_idempotent(F: np.ndarray) -> None:
    assert pareto.non_dominated(F[pareto.non_dominated(F)]).all()


def noisy() -> st.SearchStrategy[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Points, errors, and errors that are nowhere smaller; halves, so that intervals often just touch."""

    def with_errors(F: np.ndarray) -> st.SearchStrategy[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        errors = arrays(np.float64, F.shape, elements=st.integers(0, 4).map(lambda k: k / 2))
        return st.tuples(st.just(F), errors, errors).map(lambda t: (t[0], t[1], t[1] + t[2]))

    return points().flatmap(with_errors)


@given(noisy())
def test_surely_dominated_is_the_definition(given: tuple[np.ndarray, ...]) -> None:
    F, errors, _ = given
    ordinary = dominated_by(F)
    apart = np.array(
        [[bool((F[j] + errors[j] < F[i] - errors[i]).any()) for j in range(len(F))] for i in range(len(F))]
    )
    assert pareto.surely_dominated(F, errors).tolist() == (ordinary & apart).any(axis=1).tolist()


@given(points())
def test_without_errors_sure_dominance_is_ordinary_dominance(F: np.ndarray) -> None:
    assert (pareto.surely_dominated(F, np.zeros_like(F)) == ~pareto.non_dominated(F)).all()


@given(noisy())
def test_what_is_left_holds_the_front_and_grows_with_the_errors(given: tuple[np.ndarray, ...]) -> None:
    F, errors, larger = given
    left = ~pareto.surely_dominated(F, errors)
    assert left[pareto.non_dominated(F)].all()
    assert (~pareto.surely_dominated(F, larger))[left].all()


def test_points_within_the_errors_in_everything_are_not_separated_and_one_objective_can_separate() -> None:
    F = np.array([[0.10, 1.00], [0.11, 1.02], [0.30, 1.02]])
    errors = np.full_like(F, 0.02)
    assert pareto.surely_dominated(F, errors).tolist() == [False, False, True]
    # what is better in one objective and a hair worse in another does not dominate, however large that error
    assert not pareto.surely_dominated(np.array([[0.1, 1.01], [0.9, 1.0]]), np.array([[0.0, 5.0]] * 2)).any()


@given(points())
def test_ranks_are_fronts_peeled_off_one_by_one(F: np.ndarray) -> None:
    dominated = dominated_by(F)
    expected = np.full(len(F), -1)
    left, rank = np.ones(len(F), dtype=bool), 0
    while left.any():
        front = left & ~(dominated & left).any(axis=1)
        expected[front] = rank
        left, rank = left & ~front, rank + 1
    assert pareto.ranks(F).tolist() == expected.tolist()


def crowding_of_one_front(F: np.ndarray) -> np.ndarray:
    """Deb et al. 2002, section III-B, line by line; for points whose values are all different."""
    distance = np.zeros(len(F))
    for column in F.T:
        order = np.argsort(column)
        distance[order[0]] = distance[order[-1]] = np.inf
        for k in range(1, len(F) - 1):
            distance[order[k]] += (column[order[k + 1]] - column[order[k - 1]]) / (column.max() - column.min())
    return distance


@pytest.mark.parametrize("seed", range(5))
def test_crowding_distance_is_the_published_one_within_each_rank(seed: int) -> None:
    F = np.random.default_rng(seed).random((60, 2 + seed % 2))
    rank = pareto.ranks(F)
    distance = pareto.crowding_distance(F, rank)
    for r in np.unique(rank):
        assert distance[rank == r] == pytest.approx(crowding_of_one_front(F[rank == r]))


def test_crowding_ignores_an_objective_without_spread() -> None:
    F = np.column_stack((np.arange(5.0), np.full(5, 3.0)))
    assert pareto.crowding_distance(F).tolist()[2] == pytest.approx(0.5)


@given(points())
def test_order_puts_lower_ranks_first(F: np.ndarray) -> None:
    order = pareto.order(F)
    assert sorted(order.tolist()) == list(range(len(F)))
    assert (np.diff(pareto.ranks(F)[order]) >= 0).all()


@given(points(), st.integers(3, 8))
def test_hypervolume_counts_the_dominated_unit_cells(F: np.ndarray, bound: int) -> None:
    m = F.shape[1]
    cells = np.stack(np.meshgrid(*[np.arange(bound)] * m, indexing="ij"), axis=-1).reshape(-1, m)
    covered = (F[:, None] <= cells[None]).all(axis=2).any(axis=0).sum()
    assert pareto.hypervolume(F, [bound] * m) == pytest.approx(covered)


def test_hypervolume_agrees_with_monte_carlo() -> None:
    rng = np.random.default_rng(0)
    F = rng.random((30, 3)) + 0.2
    throws = rng.random((100_000, 3)) * 1.2
    share = (F[:, None] <= throws[None]).all(axis=2).any(axis=0).mean()
    assert pareto.hypervolume(F, [1.2] * 3) == pytest.approx(share * 1.2**3, abs=0.02)


@given(points())
def test_hypervolume_curve_is_the_hypervolume_of_every_prefix(F: np.ndarray) -> None:
    reference = [5.0] * F.shape[1]
    expected = [pareto.hypervolume(F[: i + 1], reference) for i in range(len(F))]
    assert pareto.hypervolume_curve(F, reference) == pytest.approx(expected)


def test_knee_is_the_point_farthest_from_the_chord() -> None:
    rng = np.random.default_rng(3)
    x = np.sort(rng.random(40))
    F = np.column_stack((x * 20, (1 - np.sqrt(x)) * 0.3))  # every point is on the front
    (ax, ay), (bx, by) = F[0], F[-1]
    scaled = (F - F.min(0)) / np.ptp(F, axis=0)
    chord = scaled[-1] - scaled[0]
    off = np.abs(chord[0] * (scaled[:, 1] - scaled[0, 1]) - chord[1] * (scaled[:, 0] - scaled[0, 0]))
    assert ax < bx
    assert ay > by
    assert pareto.knee(F) == int(np.argmax(off))


@given(points())
def test_knee_is_on_the_front_whatever_the_units(F: np.ndarray) -> None:
    assert pareto.non_dominated(F)[pareto.knee(F)]
    scale = 2.0 ** np.arange(1, F.shape[1] + 1)
    assert pareto.knee(F * scale) == pareto.knee(F)


def test_bad_points_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match="row 1 is not"):
        pareto.ranks(np.array([[0.0, 1.0], [np.nan, 1.0]]))
    with pytest.raises(ValueError, match="shape"):
        pareto.non_dominated(np.zeros(3))
    with pytest.raises(ValueError, match="reference"):
        pareto.hypervolume(np.zeros((2, 2)), [1.0])
    for errors in (np.zeros((2, 3)), np.full((2, 2), -1.0), np.full((2, 2), np.nan)):
        with pytest.raises(ValueError, match="errors"):
            pareto.surely_dominated(np.zeros((2, 2)), errors)
    with pytest.raises(ValueError, match="knee"):
        pareto.knee(np.zeros((0, 2)))


def test_no_points_are_no_front() -> None:
    nothing = np.zeros((0, 2))
    assert (
        len(pareto.non_dominated(nothing)) == len(pareto.ranks(nothing)) == len(pareto.crowding_distance(nothing)) == 0
    )
    assert len(pareto.surely_dominated(nothing, nothing)) == 0
    assert pareto.hypervolume(nothing, [1.0, 1.0]) == 0.0
