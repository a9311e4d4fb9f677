"""Resolution: what differs by less ranks as equal, for every searcher, while results and limits stay exact."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nas.cli import main
from nas.errors import JobError
from nas.job import DeviceSection, SearchSection
from nas.job_file import parse_job
from nas.search import Problem, drive, pareto, run_search
from nas.search.noise import resolutions
from nas.search.resolution import in_boxes, in_shares
from predictors.latency import LatencyPrediction
from tests.nas.search.conftest import problem_of

widths = st.floats(1e-3, 2)
many = st.lists(st.floats(1e-3, 1e3), min_size=1, max_size=30).map(np.array)


@settings(deadline=None)
@given(many, widths)
def test_boxes_are_as_wide_as_they_say_and_keep_the_order(values: np.ndarray, width: float) -> None:
    ordered = np.sort(values)
    for signed in (ordered, -ordered[::-1]):
        boxed = in_boxes(signed, width)
        assert (np.abs(boxed - signed) <= width / 2 * (1 + 1e-9)).all()
        assert (np.diff(boxed) >= 0).all()
        assert in_boxes(boxed, width) == pytest.approx(boxed)
    shared = in_shares(ordered, width)
    assert (np.abs(np.log(shared / ordered)) <= np.log1p(width) / 2 * (1 + 1e-9)).all()
    assert (np.diff(shared) >= 0).all()


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(0.1, 0.99), st.floats(1, 100)), min_size=2, max_size=20), widths)
def test_what_shares_a_box_shares_its_rank(points: Any, width: float) -> None:
    problem = Problem(None, 1, 1, known={"ms": len}, resolution={"-quality": width, "ms": width})  # type: ignore[arg-type]
    quality, latency = np.array(points).T
    F = problem.ranked(np.column_stack((-quality, latency)))
    box = np.column_stack((np.round(-quality / width), np.round(np.log(latency) / np.log1p(width))))
    rank = pareto.ranks(F)
    for one, two in pairwise(box):
        same = (box == one).all(axis=1)
        assert len(set(rank[same])) == 1
        if (one <= two).all() and (one < two).any():  # epsilon-dominance is dominance of boxes
            assert rank[same][0] < rank[(box == two).all(axis=1)][0]


# that every searcher is told the same: see test_goals. What is known enters some as sums, so what is asked is compared.
@pytest.mark.parametrize("searcher", ["local-search", "nsga2", "nsga3", "regularised-evolution"])
def test_searchers_obey_without_knowing(known: Any, searcher: str) -> None:
    def rounded(X: np.ndarray) -> np.ndarray:
        return -0.1 * np.round(known.accuracy(X) / 0.1)

    budget = {"evaluations": 16, "population": 8}
    coarse = drive(problem_of(known, resolution={"-quality": 0.1}, **budget), searcher, lambda X: -known.accuracy(X))
    reference = drive(problem_of(known, **budget), searcher, rounded)
    assert np.array_equal(coarse.X, reference.X)
    np.testing.assert_allclose(coarse.F, reference.F, atol=1e-12)
    assert np.array_equal(coarse.values[:, 0], -known.accuracy(coarse.X))


@pytest.mark.parametrize("searcher", ["nsga2", "halving"])
def test_limits_and_results_stay_exact(known: Any, searcher: str) -> None:
    limit = float(np.quantile(known.latency(known.space.sample(500, np.random.default_rng(0))), 0.5))

    def scored(X: np.ndarray, share: float = 1.0) -> np.ndarray:
        return np.asarray(known.accuracy(X))

    result = run_search(
        known.space, searcher, scored, known.latency,
        evaluations=30, population=10, max_latency_ms=limit, resolution={"quality": 0.05, "latency_ms": 0.5},
    )  # fmt: skip
    assert (result.latency_ms <= limit).all()
    assert np.array_equal(result.latency_ms, known.latency(result.X))
    assert np.array_equal(result.quality, known.accuracy(result.X))
    problem = problem_of(known, resolution={"latency_ms": 0.5})
    assert len(np.unique(problem.known_values(result.X))) < len(np.unique(problem.known_exactly(result.X)))


def test_illegal_resolutions_are_refused_with_the_legal_values(known: Any) -> None:
    with pytest.raises(JobError, match="'quality'; legal: the objectives -quality, latency_ms"):
        problem_of(known, resolution={"quality": 0.1})
    for width in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(JobError, match="must be a positive number"):
            problem_of(known, resolution={"latency_ms": width})
    with pytest.raises(JobError, match="share of values above 0"):
        in_shares(np.array([1.0, 0.0]), 0.1)
    job: dict[str, Any] = {"name": "x", "data": {"name": "digits"}, "space": {"resolutions": [8]}}
    job["devices"] = [{"name": "cpu", "runtime": "torch"}]
    for came in ("often", -1, True, 0):
        with pytest.raises(JobError, match=r"one problem\n  search.metric_resolution: came .*; legal: .*auto or null"):
            parse_job({**job, "search": {"metric_resolution": came}})
    for legal in ("auto", 0.5, None):
        assert parse_job({**job, "search": {"latency_resolution": legal}}).search.latency_resolution == legal


class Wide:
    """A predictor with this 90 % interval: from ms / factor to ms * factor; and an evaluate with this standard error."""

    def __init__(self, known: Any, factor: float) -> None:
        self._known, self._factor = known, factor

    def predict(self, X: np.ndarray) -> LatencyPrediction:
        ms = self.ms(X)
        return LatencyPrediction(ms, ms / self._factor, ms * self._factor)

    def ms(self, X: np.ndarray) -> np.ndarray:
        return np.asarray(self._known.latency(X))

    def standard_error(self) -> float:
        return 0.011


def test_auto_is_the_measured_noise(known: Any) -> None:
    problem, device = problem_of(known), DeviceSection(name="cpu", runtime="torch")
    noisy, exact = Wide(known, 1.03**1.6448536269514722), Wide(known, float("nan"))
    auto = SearchSection(metric_resolution="auto", latency_resolution="auto")
    found = resolutions(problem, auto, noisy, [device], [noisy])
    assert found == pytest.approx({"-quality": 0.011, "latency_ms": 0.03})
    given = SearchSection(metric_resolution=0.5, latency_resolution=0.25)
    assert resolutions(problem, given, known.accuracy, [device], [exact]) == {"-quality": 0.5, "latency_ms": 0.25}
    assert resolutions(problem, SearchSection(), known.accuracy, [device], [exact]) == {}
    with pytest.raises(JobError, match=r"metric_resolution: came auto.*legal here: a number"):
        resolutions(problem, auto, known.accuracy, [device], [noisy])
    with pytest.raises(JobError, match=r"latency_resolution: came auto.*latencies on cpu.*legal here: a number"):
        resolutions(problem, auto, noisy, [device], [exact])


@pytest.mark.parametrize("given", ["1", "1,2,3", "-1,0", "a,b", "nan,1"])
def test_bench_refuses_resolutions_that_fit_no_objectives(given: str, tmp_path: Any) -> None:
    table = tmp_path / "table.csv"
    table.write_text("a,b,good,slow\n" + "".join(f"{a},{b},{a + b},{a}\n" for a in range(3) for b in range(3)))
    arguments = ["bench", "search", "--table", str(table), "--genes", "a,b", "--maximize", "good", "--minimize", "slow"]
    rest = ["--budget", "4", "--seeds", "1", "--searchers", "random", "--workers", "1"]
    assert main([*arguments, *rest, f"--resolution={given}"]) == 2
    assert main([*arguments, *rest, "--resolution", "2,0"]) == 0
