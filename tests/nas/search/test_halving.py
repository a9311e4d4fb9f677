"""Successive halving and racing: what is paid, what is given up, and that shares are needed."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from nas.cli import main
from nas.errors import JobError
from nas.search import get_searcher, pareto, run_search, searcher_names
from nas.search.driver import SearchResult
from nas.search.halving import CONFIDENCE, SHARES
from nas.search.racing import PartError, beaten
from nas.search.study import evaluations_frame, hypervolume_frame
from search_spaces.space import SearchSpace, row_keys

from .conftest import Known, problem_of

EXAMPLES = 360


class Exam:
    """Every architecture answers the same examples, each right with its accuracy, independent of all others."""

    def __init__(self, accuracy: Callable[[np.ndarray], np.ndarray], seed: int = 0) -> None:
        self._accuracy, self._seed = accuracy, seed
        self.asked: list[tuple[bytes, Fraction]] = []

    def __call__(self, X: np.ndarray, share: float = 1.0) -> np.ndarray:
        exact = Fraction(share).limit_denominator(100)
        self.asked += [(key, exact) for key in row_keys(X)]
        count = round(share * EXAMPLES)
        right = [
            np.random.default_rng([self._seed, crc32(key)]).random(EXAMPLES)[:count] < accuracy
            for key, accuracy in zip(row_keys(X), self._accuracy(X), strict=True)
        ]
        return np.array([answers.mean() for answers in right])


class Certain(Exam):
    """A few examples tell as much as all."""

    def __call__(self, X: np.ndarray, share: float = 1.0) -> np.ndarray:
        super().__call__(X, share)
        return self._accuracy(X)


class Misleading(Exam):
    """A few examples tell nothing."""

    def __call__(self, X: np.ndarray, share: float = 1.0) -> np.ndarray:
        scores = super().__call__(X, share)
        return scores if share == 1 else np.array([crc32(key) / 2**32 for key in row_keys(X)])


def search(known: Known, exam: Any, **changes: Any) -> SearchResult:
    arguments = {"evaluations": 24, "population": 12, "seed": 0} | changes
    return run_search(known.space, "halving", exam, known.latency, **arguments)


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 2**32), evaluations=st.integers(1, 50), population=st.integers(1, 30))
def test_every_share_is_paid_and_the_budget_holds(known: Any, seed: int, evaluations: int, population: int) -> None:
    exam = Exam(known.accuracy)
    result = search(known, exam, seed=seed, evaluations=evaluations, population=population)
    assert len(set(exam.asked)) == len(exam.asked)
    paid = sum(share for _, share in exam.asked)
    assert evaluations - 1 < paid <= evaluations
    whole = [key for key, share in exam.asked if share == 1]
    assert row_keys(result.X) == whole
    costs = np.cumsum([float(share) for _, share in exam.asked])
    assert result.cost == pytest.approx(costs[[i for i, (_, share) in enumerate(exam.asked) if share == 1]])
    below = {share: {key for key, s in exam.asked if s == share} for share in SHARES}
    assert below[SHARES[1]] <= below[SHARES[0]]
    assert len(set(whole) - below[SHARES[1]]) <= 1  # what is left at the end
    assert result.quality == pytest.approx(Exam(known.accuracy)(result.X))


def test_asks_only_for_canonical_feasible_rows(known: Any) -> None:
    result = search(known, Exam(known.accuracy), max_latency_ms=1.0, evaluations=30)
    assert np.array_equal(known.space.canonicalise(result.X), result.X)
    assert (result.latency_ms <= 1.0).all()
    assert result.generation.tolist() == sorted(result.generation)


def test_without_errors_nothing_good_is_lost(known: Any, few: SearchSpace) -> None:
    everything = few.sample(500, np.random.default_rng(0))
    small = Known(few, known.accuracy, known.latency)
    best = search(small, Certain(known.accuracy), evaluations=60, population=5)
    true = np.column_stack((1 - known.accuracy(everything), known.latency(everything)))
    front = everything[pareto.non_dominated(true)]
    assert set(row_keys(front)) == set(row_keys(best.X[best.front()]))

    exam = Certain(known.accuracy)
    result = search(known, exam, evaluations=100)
    looked_at = [np.frombuffer(key, np.int16) for key, share in exam.asked if share == SHARES[0]][:-12]
    X = np.stack(looked_at)  # without the last cohort, which ends where the budget does
    F = np.column_stack((1 - known.accuracy(X), known.latency(X)))
    assert len(X) > 1.5 * len(result.X)
    reached = np.vstack((F, result.objectives))
    assert set(row_keys(X[pareto.non_dominated(reached)[: len(X)]])) <= set(row_keys(result.X))


def test_the_first_rows_all_go_on_and_where_a_few_examples_tell_nothing_the_others_too(known: Any) -> None:
    exam = Misleading(known.accuracy)
    result = search(known, exam, evaluations=60)
    evolved = run_search(known.space, "nsga2", known.accuracy, known.latency, evaluations=12, population=12)
    assert set(row_keys(result.X[:12])) == set(row_keys(evolved.X))
    assert result.cost[11] == pytest.approx(12 * float(sum(SHARES)))
    assert len(result.X) >= 60 / float(sum(SHARES)) - 3


@pytest.mark.parametrize("alike", [0.0, 0.8])
@pytest.mark.parametrize("examples", [20, 40, 120])
def test_what_nothing_dominates_is_dropped_no_more_often_than_stated(examples: int, alike: float) -> None:
    """The hardest case: all are equally good, so that the best of them is by chance. With independent answers, and with
    examples that are hard or easy for all."""
    rng = np.random.default_rng(examples)
    doubt, trials, dropped = 1 - CONFIDENCE, 300, 0
    for _ in range(trials):
        hard = rng.random(EXAMPLES) < 0.5
        chance = np.where(hard, 0.8 - 0.2 * alike, 0.8 + 0.2 * alike)
        answers = rng.random((40, EXAMPLES)) < chance
        wholly = 1 - answers.mean(axis=1, keepdims=True)
        part = 1 - answers[:, :examples].mean(axis=1, keepdims=True)
        known = np.zeros((40, 1))
        error = PartError.of(part[:10], wholly[:10])
        out = beaten(part[15:], error, known[15:], (wholly[:15], known[:15]), doubt)
        best = int(wholly.argmin())
        dropped += best >= 15 and bool(out[best - 15])
    assert dropped <= binom.ppf(0.999, trials, doubt)


def test_what_is_as_good_as_the_front_is_dropped_exactly_as_often_as_stated() -> None:
    rng = np.random.default_rng(0)
    doubt, trials, dropped = 0.2, 1500, 0
    none, front = np.zeros((1, 0)), np.array([[0.3]])
    for _ in range(trials):
        whole = np.append(rng.random(5), front)[:, None]
        part = whole + 0.4 + 0.1 * rng.standard_normal(whole.shape)
        dropped += bool(beaten(part[-1:], PartError.of(part[:-1], whole[:-1]), none, (front, none), doubt)[0])
    low, high = binom.ppf([0.0005, 0.9995], trials, doubt / 2)
    assert low <= dropped <= high


def test_the_best_by_a_clear_margin_reaches_the_end_for_every_seed(known: Any) -> None:
    best = known.space.sample(1, np.random.default_rng(123))

    def accuracy(X: np.ndarray) -> np.ndarray:
        return np.where((best == X).all(axis=1), 0.9, 0.6 * known.accuracy(X))

    for seed in range(20):
        found = search(known, Exam(accuracy, seed), seed=seed, start=best, evaluations=15)
        assert row_keys(best)[0] in row_keys(found.X)
        assert (found.X[found.front()] == best).all(axis=1).any()


def test_what_is_much_worse_is_given_up_early(known: Any) -> None:
    good = known.space.smallest(known.space.sample(1, np.random.default_rng(1)))

    def accuracy(X: np.ndarray) -> np.ndarray:
        return np.where((good == X).all(axis=1), 0.95, 0.2)

    exam = Exam(accuracy)
    search(known, exam, start=good, evaluations=30)
    raced = [key for key, share in exam.asked if share == SHARES[0]][12:]
    slower = {key for key, share in exam.asked if share > SHARES[0]} & set(raced)
    assert len(slower) < 0.2 * len(raced)
    assert len(raced) > 36


def test_domination_needs_everything_that_is_known_and_asked() -> None:
    none = (np.zeros((0, 2)), np.zeros((0, 1)))
    F = np.array([[0.1, 0.1], [0.5, 0.5], [0.5, 0.0], [0.5, 0.5]])
    known = np.array([[2.0], [2.0], [2.0], [1.0]])
    sure, unsure = (PartError(np.zeros(2), np.full(2, spread), 20) for spread in (0.01, 0.5))
    assert beaten(F, sure, known, none, 0.05).tolist() == [False, True, False, False]
    assert not beaten(F, unsure, known, none, 0.05).any()
    front = np.array([[0.0, -0.1]]), np.array([[1.0]])
    assert beaten(F, sure, known, front, 0.05).all()
    harder = PartError(np.full(2, 0.6), np.full(2, 0.01), 20)  # the share is: wholly they are better than the front
    assert beaten(F, harder, known, front, 0.05).tolist() == [False, True, False, False]


def test_killed_and_replayed_from_the_cache_it_ends_in_the_same_result(known: Any) -> None:
    class Cached(Exam):
        cache: dict[tuple[bytes, float], float] = {}
        left = 20  # dies on the second share

        def __call__(self, X: np.ndarray, share: float = 1.0) -> np.ndarray:
            for key, row in zip(row_keys(X), X, strict=True):
                if (key, share) not in self.cache:
                    if self.left == 0:
                        raise KeyboardInterrupt
                    self.left -= 1
                    self.cache[key, share] = float(super().__call__(row[None], share)[0])
            return np.array([self.cache[key, share] for key in row_keys(X)])

    exam = Cached(known.accuracy)
    with pytest.raises(KeyboardInterrupt):
        search(known, exam)
    exam.left = -1
    resumed, undisturbed = search(known, exam), search(known, Exam(known.accuracy))
    for field in ("X", "quality", "latency_ms", "generation", "cost"):
        assert np.array_equal(getattr(resumed, field), getattr(undisturbed, field))
    assert len(exam.asked) == len(set(exam.asked))


def test_ends_where_the_space_does(known: Any, few: SearchSpace) -> None:
    small = Known(few, known.accuracy, known.latency)
    exam = Exam(known.accuracy)
    result = search(small, exam, evaluations=200, population=5)
    assert len({key for key, share in exam.asked if share == SHARES[0]}) == few.size()
    assert len(result.X) <= few.size()


def test_hypervolume_and_evaluations_stand_at_their_cost(known: Any) -> None:
    halved = search(known, Exam(known.accuracy))
    plain = run_search(known.space, "random", known.accuracy, known.latency, evaluations=24, population=12)
    results = {"halving": [halved], "random": [plain]}
    frame = hypervolume_frame(results)
    first, second = (frame[frame["search"] == name].set_index("evaluations")["hypervolume"] for name in results)
    assert first.index.tolist() == second.index.tolist() == list(range(1, 25))
    from nas.search.study import reference_point

    reference = reference_point(results)
    assert second.to_numpy() == pytest.approx(plain.hypervolume_curve(reference))
    for count, volume in first.items():
        told = halved.objectives[halved.cost <= count]
        assert volume == pytest.approx(pareto.hypervolume(told, (1 - reference[0], reference[1])))
    assert first.iloc[-1] == pytest.approx(halved.hypervolume(reference))
    costs = evaluations_frame(results).groupby("search")["cost"]
    assert costs.get_group("random").tolist() == list(range(1, 25))
    assert costs.get_group("halving").tolist() == halved.cost.tolist()


def test_without_shares_it_is_refused_before_any_work(
    known: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def evaluate(X: np.ndarray) -> np.ndarray:
        raise AssertionError("evaluated")

    with pytest.raises(JobError, match="'halving' evaluates on shares of the examples"):
        search(known, evaluate)
    assert "halving" not in searcher_names()
    assert "halving" in searcher_names(shares=True)
    table = tmp_path / "table.csv"
    table.write_text("a,b,accuracy\n0,0,0.1\n0,1,0.2\n1,0,0.3\n1,1,0.4\n")
    arguments = ["bench", "search", "--table", str(table), "--genes", "a,b", "--maximize", "accuracy", "--budget", "2"]
    assert main([*arguments, "--searchers", "halving"]) == 2
    assert "--searchers: got 'halving'; legal:" in " ".join(capsys.readouterr().err.split())


def test_a_row_that_is_not_told_is_named(known: Any) -> None:
    problem = problem_of(known, shares=True)
    searcher = get_searcher("halving")(problem)
    X = searcher.ask(5)
    assert searcher.share == Fraction(1, 9)
    searcher.tell_part(X[:3], np.zeros((3, 2)), searcher.share)
    with pytest.raises(JobError, match="2 of the 5 rows asked for last were not told"):
        searcher.ask(5)
