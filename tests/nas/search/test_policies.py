"""Policies and their projection: expectations against enumeration, the softmax's gradient, feasible and nearest."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nas.search.policies import Expectation, Policies, softmax
from nas.search.projection import project
from search_spaces.space import Choice, SearchSpace

GENES = [
    Choice("operator", ("conv", "attention", "none")),
    Choice("kernel", (3, 5), ("operator", ("conv",))),
    Choice("heads", (1, 2, 4), ("operator", ("attention",))),
    Choice("width", (8, 16)),
]


def forest() -> SearchSpace:
    """Genes that are active for some values of another."""
    return SearchSpace("forest", {}, GENES, ())


def cost(X: np.ndarray) -> np.ndarray:
    """Not additive: all that is chosen is multiplied by the width."""
    table = np.array([1.0, 3.0, 0.2])
    return (table[X[:, 0]] + 0.5 * X[:, 1] + 0.7 * X[:, 2]) * (1.0 + X[:, 3])


def enumerated(policies: Policies, logits: np.ndarray) -> np.ndarray:
    """(P,) the expectation of `cost`, from every combination of all genes."""
    p = softmax(logits, policies.legal)
    rows = np.array(list(itertools.product(*(range(len(choice.values)) for choice in GENES))), np.int16)
    chances = p[:, np.arange(rows.shape[1]), rows].prod(axis=2)
    return np.asarray(chances @ cost(policies.space.canonicalise(rows)))


def some(seed: int, count: int = 3) -> Policies:
    policies = Policies(forest(), count)
    policies.logits = np.random.default_rng(seed).normal(size=policies.logits.shape)
    return policies


def test_expected_cost_and_its_gradient_are_those_of_enumeration() -> None:
    policies = some(0)
    uniform = np.random.default_rng(1).random((20_000, len(GENES)))
    expected = Expectation(policies, cost, uniform)
    effects = expected.effects(policies.logits)
    assert expected.value(policies.logits) == pytest.approx(enumerated(policies, policies.logits), rel=0.02)
    p = policies.probabilities()
    gradient = p * (effects - (p * effects).sum(axis=2, keepdims=True))
    for g, k in zip(*np.nonzero(policies.legal), strict=True):
        step = np.zeros_like(policies.logits)
        step[:, g, k] = 1e-5
        slope = (enumerated(policies, policies.logits + step) - enumerated(policies, policies.logits - step)) / 2e-5
        assert gradient[:, g, k] == pytest.approx(slope, abs=0.03)


def test_draws_follow_the_probabilities_and_the_likelihood_sums_to_one() -> None:
    policies = some(2)
    drawn = policies.draw(np.random.default_rng(0).random((20_000, len(GENES))))
    for g, choice in enumerate(GENES):
        for k in range(len(choice.values)):
            assert (drawn[:, :, g] == k).mean(axis=1) == pytest.approx(policies.probabilities()[:, g, k], abs=0.02)
    space = policies.space
    every = np.unique(space.sample(2000, np.random.default_rng(0)), axis=0)
    assert len(every) == space.size()
    assert np.exp(policies.log_likelihood(every)).sum(axis=1) == pytest.approx(np.ones(3))


def test_restricted_values_are_never_drawn() -> None:
    policies = Policies(forest().restrict({"operator": ["attention"], "heads": [2, 4]}), 2)
    policies.logits[...] = np.random.default_rng(0).normal(size=policies.logits.shape) * 5
    drawn = policies.draw(np.random.default_rng(1).random((500, len(GENES))))
    assert set(drawn[:, :, 0].ravel()) == {1}
    assert set(drawn[:, :, 2].ravel()) <= {1, 2}


def test_descent_ends_where_the_temperature_says() -> None:
    policies = Policies(forest(), 1)
    effects = np.random.default_rng(3).normal(size=policies.logits.shape)
    for _ in range(600):
        policies.descend(effects, temperature=0.5)
    best = softmax(-effects / 0.5, policies.legal)  # the minimum of the expected effect less 0.5 times the entropy
    assert policies.probabilities() == pytest.approx(best, abs=0.02)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32), tightness=st.floats(0.02, 1.5))
def test_the_projection_is_feasible_and_nothing_feasible_is_nearer(seed: int, tightness: float) -> None:
    rng = np.random.default_rng(seed)
    policies = some(seed, count=2)
    legal = policies.legal
    costs = np.where(legal, rng.random(legal.shape), 0.0)

    class Linear(Expectation):
        """A sum over choices, exactly."""

        def value(self, logits: np.ndarray) -> np.ndarray:
            return np.asarray((softmax(logits, legal) * costs).sum(axis=(1, 2)))

        def effects(self, logits: np.ndarray) -> np.ndarray:
            return np.broadcast_to(costs, logits.shape)

    linear = Linear(policies, cost, np.zeros((1, len(GENES))))
    least = np.where(legal, costs, np.inf).min(axis=1).sum()
    limit = float(least + tightness * (linear.value(policies.logits).max() - least))
    found = project(policies.logits, legal, linear, limit)
    values = linear.value(found)
    assert (values <= limit * (1 + 1e-9)).all()
    before = softmax(policies.logits, legal)
    inside = linear.value(policies.logits) <= limit
    assert np.array_equal(found[inside], policies.logits[inside])

    def divergence(p: np.ndarray) -> Any:
        return np.where(legal, p * np.log(np.maximum(p, 1e-300) / np.where(legal, before, 1)), 0).sum(axis=(-1, -2))

    reached = divergence(softmax(found, legal))
    for _ in range(200):  # others within the limit: mixtures with the cheapest policy, and neighbours of what was found
        other = softmax(found + rng.normal(size=found.shape) * rng.choice([0.03, 0.3, 3.0]), legal)
        feasible = (other * costs).sum(axis=(1, 2)) <= limit
        assert (divergence(other)[feasible] >= reached[feasible] - 1e-6).all()


def test_the_projection_of_a_cost_that_is_no_sum_is_feasible_too() -> None:
    policies = some(5, count=6)
    uniform = np.random.default_rng(1).random((4000, len(GENES)))
    expected = Expectation(policies, cost, uniform)
    limit = 1.1
    assert (enumerated(policies, policies.logits) > limit).any()
    found = project(policies.logits, policies.legal, expected, limit)
    assert (expected.value(found) <= limit).all()
    assert (enumerated(policies, found) <= limit * 1.05).all()


def test_a_limit_that_no_policy_meets_ends_at_the_cheapest() -> None:
    policies = some(7)
    expected = Expectation(policies, cost, np.random.default_rng(1).random((200, len(GENES))))
    found = project(policies.logits, policies.legal, expected, 0.05)
    assert enumerated(policies, found) == pytest.approx(np.full(3, 0.2), abs=0.01)
