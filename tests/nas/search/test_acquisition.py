"""The expected hypervolume improvement against Monte Carlo with moocore's hypervolume."""

from __future__ import annotations

import numpy as np
import pytest

from nas.search import pareto
from nas.search.acquisition import CAUTIOUS, choose_batch, expected_improvement


@pytest.mark.parametrize("objectives", [1, 2, 3, 4])
def test_expected_improvement_is_the_mean_of_simulated_improvements(objectives: int) -> None:
    rng = np.random.default_rng(objectives)
    front = rng.random((12, objectives))
    front = front[pareto.non_dominated(front)]
    reference = np.full(objectives, 0.9)  # some of the front is beyond it
    mean, std = rng.random((5, objectives)), rng.uniform(0.05, 0.4, (5, objectives))
    std[0] = 0.0  # known exactly
    std[1, 0] = 0.0
    exact = expected_improvement(mean, std, front, reference)
    volume = pareto.hypervolume(front, reference)
    draws = 3000
    for i in range(5):
        points = mean[i] + std[i] * rng.standard_normal((draws, objectives))
        gains = np.array([pareto.hypervolume(np.vstack((front, point)), reference) - volume for point in points])
        assert exact[i] == pytest.approx(gains.mean(), abs=5 * gains.std() / np.sqrt(draws) + 1e-9)


def test_a_dominated_point_that_is_known_adds_nothing_and_an_empty_front_the_box() -> None:
    front, reference = np.array([[0.2, 0.2]]), np.ones(2)
    zero = np.zeros((1, 2))
    assert expected_improvement(np.array([[0.5, 0.5]]), zero, front, reference)[0] == pytest.approx(0)
    assert expected_improvement(np.array([[0.5, 0.5]]), zero, front[:0], reference)[0] == pytest.approx(0.25)
    assert expected_improvement(np.array([[1.5, 0.5]]), zero, front[:0], reference)[0] == 0


def test_a_batch_does_not_choose_the_same_gain_twice() -> None:
    mean = np.array([[0.1, 0.9], [0.1001, 0.9001], [0.9, 0.1]])
    chosen = choose_batch(mean, np.zeros_like(mean), np.zeros((0, 2)), np.ones(2), 2)
    assert set(chosen.tolist()) == {0, 2}
    assert len(choose_batch(mean, np.zeros_like(mean), np.zeros((0, 2)), np.ones(2), 5)) == 3


def test_every_second_choice_is_cautious_and_turns_go_on_from_earlier_ones() -> None:
    front, reference = np.array([[0.5, 0.5]]), np.ones(2)
    mean = np.array([[0.45, 0.45], [0.75, 0.75], [0.44, 0.6]])
    std = np.array([[0.01, 0.01], [0.5, 0.5], [0.01, 0.01]])  # the second promises nothing, and is doubted most
    assert choose_batch(mean, std, front, reference, 1).tolist() == [1]
    assert choose_batch(mean, std, front, reference, 1, before=3).tolist() == [0]
    assert choose_batch(mean, std, front, reference, 2).tolist() == [1, 0]
    assert choose_batch(mean, std, front, reference, 3, before=1).tolist() == [0, 1, 2]
    cautious = expected_improvement(mean, CAUTIOUS * std, front, reference)
    assert cautious.argmax() == 0
    assert expected_improvement(mean, std, front, reference).argmax() == 1


def test_where_no_mean_promises_anything_doubt_decides() -> None:
    rng = np.random.default_rng(0)
    front, reference = np.array([[0.1, 0.1]]), np.ones(2)
    mean, std = rng.uniform(0.7, 0.9, (20, 2)), rng.uniform(0.05, 0.1, (20, 2))
    std[:, 1] = 0.0
    hoped = expected_improvement(mean, std, front, reference)
    assert choose_batch(mean, std, front, reference, 1, before=1).tolist() == [int(np.argmax(hoped))]
    assert len(set(choose_batch(mean, std, front, reference, 20, before=1).tolist())) == 20
