"""Our searchers as search algorithms of Ray Tune."""

from __future__ import annotations

import doctest
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))  # else Ray writes one to the user's home
os.environ.setdefault("RAY_AUTH_MODE", "token")  # read when Ray is imported
pytest.importorskip("ray", reason='Ray is not installed; pip install "hybrid-nas[ray]" adds it')

import ray
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ray import tune

import nas.search.tune as module
from nas.errors import JobError
from nas.search.tune import TuneSearch
from search_spaces import Architecture, SearchSpace

BOTH: dict[str, Any] = {"metric": ["accuracy", "latency_ms"], "mode": ["max", "min"]}
CHOICES = {
    "width": tune.choice([8, 16, 24, 32]),
    "block": {"depth": tune.randint(1, 4), "norm": tune.choice([None, [1]])},
}


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """Ray on this machine."""
    ray.init(address="local", num_cpus=1, include_dashboard=False, log_to_driver=False, logging_level="error")
    yield
    ray.shutdown()


def measured(known: Any, config: dict[str, Any]) -> dict[str, float]:
    row = known.space.matrix([Architecture.from_json({"genes": config}, known.space)])
    return {"accuracy": float(known.accuracy(row)[0]), "latency_ms": float(known.latency(row)[0])}


def searched(search: TuneSearch, known: Any, n: int, first: int = 0) -> list[dict[str, Any]]:
    """What Tune does with a search, one trial after the other."""
    found = []
    for i in range(first, first + n):
        found.append(search.suggest(f"trial{i}"))
        search.on_trial_complete(f"trial{i}", measured(known, found[-1]))
    return found


def test_the_example_of_the_module_runs(cluster: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ray.train.constants.DEFAULT_STORAGE_PATH", str(tmp_path))  # not the user's home
    *steps, last = doctest.DocTestParser().get_examples(module.__doc__ or "")
    names: dict[str, Any] = {}
    for step in steps:
        exec(step.source, names)
    assert repr(eval(last.source, names)) == last.want.strip()
    fresh = TuneSearch("local-search", metric="loss", mode="min")
    fresh.restore_from_dir(names["results"].experiment_path)  # what Tune saved on its own
    fresh.set_search_properties(None, None, names["space"])
    assert fresh.suggest("one more") == TuneSearch.FINISHED


@pytest.mark.parametrize("name", ["nsga2", "local-search"])
def test_a_search_of_our_space_goes_on_where_it_was_saved(known: Any, tmp_path: Path, name: str) -> None:
    def fresh() -> TuneSearch:
        return TuneSearch(name, known.space, population=4, seed=3, **BOTH)

    undisturbed = searched(fresh(), known, 12)
    assert len({str(sorted(config.items())) for config in undisturbed}) == 12
    first = fresh()
    begun = searched(first, known, 7)
    first.save(str(tmp_path / "state.json"))
    second = fresh()
    second.restore(str(tmp_path / "state.json"))
    assert begun + searched(second, known, 5, 7) == undisturbed


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ends=st.lists(st.sampled_from(["done", "error", "nan", "missing", "running"]), min_size=24, max_size=24))
def test_every_configuration_comes_once_whatever_becomes_of_it(ends: list[str]) -> None:
    search = TuneSearch("local-search", metric="loss", mode="min")
    assert search.set_search_properties(None, None, CHOICES, num_samples=100)
    found = []
    for i, end in enumerate(ends):
        found.append(config := search.suggest(str(i)))
        if end != "running":
            result = {"done": {"loss": 1.0 / config["width"]}, "nan": {"loss": float("nan")}}.get(end, {})
            search.on_trial_complete(str(i), result, error=end == "error")
    assert search.suggest("none") == TuneSearch.FINISHED
    assert len({str(config) for config in found}) == 24
    assert {str(config["block"]["norm"]) for config in found} == {"None", "[1]"}


def test_what_failed_is_not_told(known: Any) -> None:
    clean, failing = (TuneSearch("local-search", known.space, metric="loss", mode="max", seed=1) for _ in range(2))
    for search in (clean, failing):
        for i in range(6):
            search.suggest(str(i))
            search.on_trial_complete(str(i), {"loss": float(i)})
        search.suggest("other")
    failing.on_trial_complete("other", {"loss": 1e9}, error=True)
    assert failing.suggest("next") == clean.suggest("next")  # as if it ran still
    failing.on_trial_complete("unknown", {"loss": 0.0})
    failing.on_trial_complete("0", {"loss": 0.0})  # ended before


def test_wrong_arguments_are_named(known: Any, few: SearchSpace, tmp_path: Path) -> None:
    with pytest.raises(JobError, match="unknown name 'tpe'"):
        TuneSearch("tpe")
    with pytest.raises(JobError, match="'random\\+halving' asks for evaluations on part of the examples"):
        TuneSearch("random+halving")
    with pytest.raises(JobError, match="population: must be at least 1, got 0"):
        TuneSearch(population=0)
    with pytest.raises(JobError, match="mode: got 'min' for metric"):
        TuneSearch(metric=["a", "b"], mode="min")
    with pytest.raises(JobError, match="mode: got 'most'"):
        TuneSearch(metric="a", mode="most")
    with pytest.raises(JobError, match="space: missing"):
        TuneSearch(metric="a", mode="min").suggest("0")
    with pytest.raises(JobError, match="metric: missing"):
        TuneSearch(space=few).suggest("0")
    for wrong in (tune.uniform(0, 1), tune.lograndint(1, 9), tune.randint(0, 10**6), tune.grid_search([1, 2])):
        with pytest.raises(JobError, match=r"param_space: lr: .*legal: tune.choice"):
            TuneSearch(metric="a", mode="min").set_search_properties(None, None, {"lr": wrong})
    assert not TuneSearch(space=few).set_search_properties("a", "min", {"width": tune.choice([1, 2])})
    assert TuneSearch(space=few).set_search_properties("a", "min", {"epochs": 3})
    path = tmp_path / "state.json"
    search = TuneSearch("random", few, **BOTH)
    searched(search, known, 2)
    search.save(str(path))
    with pytest.raises(JobError, match="metric: got"):
        TuneSearch("random", few, metric="a", mode="min").restore(str(path))
    other = TuneSearch("random", **BOTH)
    other.restore(str(path))
    with pytest.raises(JobError, match="other genes"):
        other.set_search_properties(None, None, CHOICES)
    for content in ("{}x", '{"trials": 3}', path.read_text().replace('"row":[0', '"row":[-1', 1)):
        path.write_text(content)
        with pytest.raises(JobError, match=r"state\.json"):
            TuneSearch("random", few, **BOTH).restore(str(path))
    with pytest.raises(JobError, match=r"state\.json"):
        TuneSearch("random", few, **BOTH).restore(str(tmp_path / "none" / "state.json"))
