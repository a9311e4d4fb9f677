"""Differentiable search: with gates and without, under limits, on spaces with a known answer."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from nas.search import Problem, Searcher, drive, get_searcher, run_search
from nas.search.differentiable import GRADIENTS, Differentiable
from nas.search.driver import search_together
from nas.search.problem import Floats, Rows
from search_spaces.space import Choice, SearchSpace, row_keys

from .conftest import Known, problem_of

REFERENCE = (0.0, 3.0)


def cells(genes: int = 8, values: int = 5) -> tuple[SearchSpace, Any]:
    """A space like those of tables, and a loss with strong single choices and weaker pairs of neighbours."""
    space = SearchSpace("cells", {}, [Choice(f"edge{i}", tuple(range(values))) for i in range(genes)], ())
    rng = np.random.default_rng(0)
    alone, pairs = rng.normal(size=(genes, values)), 0.3 * rng.normal(size=(genes - 1, values, values))

    def loss(X: Rows) -> Floats:
        single = alone[np.arange(genes), X].sum(axis=1)
        return np.asarray(single + pairs[np.arange(genes - 1), X[:, :-1], X[:, 1:]].sum(axis=1))

    return space, loss


class Slopes:
    """The gradient of a known loss: what every choice changes, in other units than the objective asked."""

    def __init__(
        self, space: SearchSpace, loss: Any, cost: Fraction = Fraction(1, 2), without: tuple[int, ...] = ()
    ) -> None:
        self._space, self._loss, self._without = space, loss, without
        self.cost = cost
        self.asked: list[bytes] = []

    def __call__(self, X: Rows) -> tuple[Floats, Floats]:
        self.asked += row_keys(X)
        gates = np.full((*X.shape, int(self._space.cardinalities.max())), np.nan)
        for i, row in enumerate(X):
            for g in np.flatnonzero(self._space.active(row[None])[0]):
                if g in self._without:
                    continue
                for value in self._space.legal[g]:
                    other = row.copy()
                    other[g] = value
                    other = self._space.canonicalise(other[None])
                    gates[i, g, value] = (self._loss(other) - self._loss(row[None]))[0]
        return 7.0 * self._loss(X) + 2.0, 7.0 * gates


def best(space: SearchSpace, loss: Any, seed: int, gradient: Any, evaluations: int = 60) -> float:
    problem = Problem(space, evaluations, 10, ("loss",), seed=seed, gradient=gradient)
    return float(drive(problem, "differentiable", loss).F.min())


def test_it_beats_random_without_gradients_and_itself_with_them_at_equal_cost() -> None:
    space, loss = cells()
    plain = np.array([best(space, loss, seed, None) for seed in range(6)])
    guided = np.array([best(space, loss, seed, Slopes(space, loss)) for seed in range(6)])
    random = [drive(Problem(space, 60, 10, ("loss",), seed=s), "random", loss).F.min() for s in range(6)]
    assert plain.mean() < np.mean(random) - 2 * np.std(random)
    assert guided.mean() < plain.mean()


def test_choices_without_a_gate_are_learnt_from_what_was_asked() -> None:
    space, loss = cells()
    half = tuple(range(4))
    problem = Problem(space, 80, 10, ("loss",), gradient=Slopes(space, loss, without=half))
    search = drive(problem, "differentiable", loss)
    assert isinstance(search, Differentiable)
    search._learn()
    chance = search._policies.probabilities()[0]
    top = search.X[np.argsort(search.F[:, 0])[:5]]
    likely = np.mean([chance[g, top[:, g]].mean() for g in half])
    assert likely > 2 / 5  # twice what it is where nothing was learnt: what it thinks likely is what good rows have


def test_it_beats_random_on_two_objectives(known: Any) -> None:
    def volumes(name: str) -> np.ndarray:
        arguments = {"evaluations": 60, "population": 20}
        return np.array(
            [
                run_search(known.space, name, known.accuracy, known.latency, seed=s, **arguments).hypervolume(REFERENCE)
                for s in range(2)
            ]
        )

    assert volumes("differentiable").mean() > 1.2 * volumes("random").mean()


def test_policies_keep_the_limit_on_average_and_rows_keep_it_all(known: Any) -> None:
    limit = 0.8
    problem = problem_of(known, limit, evaluations=24, population=12)
    search = drive(problem, "differentiable", lambda X: -known.accuracy(X))
    assert isinstance(search, Differentiable)
    assert len(search.X) == 24
    assert (known.latency(search.X) <= limit).all()
    search._learn()
    drawn = search._policies.draw(np.random.default_rng(9).random((2000, len(known.space.choices))))
    expected = [known.latency(known.space.canonicalise(rows)).mean() for rows in drawn]
    assert max(expected) <= 1.1 * limit
    uniform = known.latency(known.space.sample(2000, np.random.default_rng(0))).mean()
    assert uniform > 1.5 * limit


def test_gradients_cost_their_share_and_each_is_asked_once() -> None:
    space, loss = cells()
    slopes = Slopes(space, loss, cost=Fraction(2, 5))
    search = drive(Problem(space, 50, 10, ("loss",), gradient=slopes), "differentiable", loss)
    assert len(set(slopes.asked)) == len(slopes.asked)
    assert set(slopes.asked) <= set(row_keys(search.X))
    paid = len(slopes.asked) * slopes.cost
    assert search.spent == len(search.X) + paid
    assert 49 < search.spent <= 50
    assert float(GRADIENTS) * 50 - 10 <= paid <= GRADIENTS * 50


def test_gradients_replayed_give_the_same_search() -> None:
    space, loss = cells()
    kept: dict[bytes, tuple[Floats, Floats]] = {}
    slopes = Slopes(space, loss)

    class Cached:
        cost = slopes.cost

        def __call__(self, X: Rows) -> tuple[Floats, Floats]:
            for key, row in zip(row_keys(X), X, strict=True):
                if key not in kept:
                    if len(kept) == 7 and not resumed:
                        raise KeyboardInterrupt
                    kept[key] = slopes(row[None])
            losses, gates = zip(*(kept[key] for key in row_keys(X)), strict=True)
            return np.concatenate(losses), np.concatenate(gates)

    resumed = False
    with pytest.raises(KeyboardInterrupt):
        drive(Problem(space, 50, 10, ("loss",), gradient=Cached()), "differentiable", loss)
    resumed = True
    again = drive(Problem(space, 50, 10, ("loss",), gradient=Cached()), "differentiable", loss)
    whole = drive(Problem(space, 50, 10, ("loss",), gradient=Slopes(space, loss)), "differentiable", loss)
    assert np.array_equal(again.X, whole.X)
    assert np.array_equal(again.cost, whole.cost)


def test_in_a_chain_its_gradients_are_paid_from_its_part() -> None:
    space, loss = cells()
    slopes = Slopes(space, loss)
    search = drive(Problem(space, 40, 5, ("loss",), gradient=slopes), "random+differentiable", loss)
    assert 39 < search.spent <= 40
    assert search.spent == len(search.X) + len(slopes.asked) * slopes.cost
    assert not set(slopes.asked) & set(
        row_keys(search.X[:15])
    )  # of the random stage's 20, only the last told may be wanted


def test_searchers_that_want_no_gradients_pay_for_none(known: Known) -> None:
    class Refusing:
        cost = Fraction(1)

        def __call__(self, X: Rows) -> tuple[Floats, Floats]:
            raise AssertionError("asked")

    problem = problem_of(known, gradient=Refusing())
    assert drive(problem, "nsga2", lambda X: -known.accuracy(X)).spent == 10


def test_what_evaluates_may_bring_its_gradient(known: Known) -> None:
    class Evaluate:
        gradient = Slopes(known.space, lambda X: -known.accuracy(X))

        def __call__(self, rows: Rows) -> Floats:
            return known.accuracy(rows)

    problem = problem_of(known, evaluations=16, population=8)
    result = search_together(problem, "differentiable", Evaluate())["latency_ms"]
    assert Evaluate.gradient.asked
    assert result.cost[-1] > len(result.X)


def test_told_at_once_it_learns_as_one_that_was_never_asked() -> None:
    space, loss = cells()
    X = np.unique(space.sample(80, np.random.default_rng(0)), axis=0)
    search: Searcher = get_searcher("differentiable")(Problem(space, 200, 10, ("loss",), batch=1))
    search.tell(X, loss(X)[:, None])
    rows = search.ask(10)
    assert len(rows) == 10
    assert not set(row_keys(rows)) & set(row_keys(X))
    assert loss(rows).mean() < np.quantile(loss(X), 0.2)
