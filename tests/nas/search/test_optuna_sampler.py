"""Our searchers as Optuna samplers, Optuna's samplers on our spaces, and one study shared through a storage."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from nas.errors import JobError
from nas.search import searcher_names
from nas.search.optuna_sampler import SearcherSampler, suggest_architecture

optuna.logging.set_verbosity(optuna.logging.WARNING)
BOTH = ["maximize", "minimize"]


def measured(known: Any, trial: optuna.Trial) -> tuple[float, float]:
    row = known.space.matrix([suggest_architecture(trial, known.space)])
    return float(known.accuracy(row)[0]), float(known.latency(row)[0])


# predictors take long, and slimming needs a known objective, which a study has none of
@pytest.mark.parametrize("name", [name for name in searcher_names() if not name.startswith(("predictor", "slimming"))])
def test_every_searcher_searches_our_space_and_repeats_nothing(known: Any, name: str) -> None:
    def search() -> list[tuple[Any, ...]]:
        study = optuna.create_study(directions=BOTH, sampler=SearcherSampler(name, known.space, population=6, seed=3))
        study.optimize(lambda trial: measured(known, trial), n_trials=18)
        return [tuple(sorted(trial.params.items())) for trial in study.trials]

    found = search()
    assert len(set(found)) == 18
    assert found == search()


def test_guided_search_beats_optunas_random_sampler_on_a_plain_study() -> None:
    weights = np.random.default_rng(0).random((6, 4))

    def objective(trial: optuna.Trial) -> float:
        codes = [trial.suggest_int(f"x{i}", 0, 3) for i in range(3)]
        codes += [trial.suggest_categorical(f"y{i}", [0, 1, 2, 3]) for i in range(3)]
        trial.suggest_float("ignored", 0, 1)
        return float(sum(weights[i, code] for i, code in enumerate(codes)))

    best = {}
    for name, sampler in (("ours", SearcherSampler(population=8)), ("random", optuna.samplers.RandomSampler(seed=0))):
        study = optuna.create_study(sampler=sampler)
        study.optimize(objective, n_trials=40)
        best[name] = study.best_value
    assert best["ours"] < best["random"]
    assert best["ours"] == pytest.approx(weights.min(axis=1).sum(), abs=0.15)


def test_optunas_samplers_search_our_spaces_and_two_processes_share_a_study(known: Any, tmp_path: Path) -> None:
    def opened(sampler: optuna.samplers.BaseSampler) -> optuna.Study:
        storage = JournalStorage(JournalFileBackend(str(tmp_path / "study.log")))
        return optuna.create_study(
            study_name="shared", storage=storage, sampler=sampler, directions=BOTH, load_if_exists=True
        )

    theirs = opened(optuna.samplers.NSGAIISampler(population_size=5, seed=0))
    theirs.optimize(lambda trial: measured(known, trial), n_trials=10)
    ours, other = (opened(SearcherSampler("local-search", known.space, seed=seed)) for seed in (0, 0))
    asked = [study.ask() for study in (ours, other, ours, other)]  # all run at once
    rows = [known.space.matrix([suggest_architecture(trial, known.space)])[0] for trial in asked]
    assert len(np.unique(rows, axis=0)) == 4
    for study, trial, row in zip((ours, other, ours, other), asked, rows, strict=True):
        study.tell(trial, [float(known.accuracy(row[None])[0]), float(known.latency(row[None])[0])])
    assert len(theirs.trials) == 14
    assert all(trial.state.is_finished() for trial in theirs.trials)


def test_wrong_arguments_are_named() -> None:
    with pytest.raises(JobError, match="unknown name 'tpe', legal: assembly, differentiable, local-search"):
        SearcherSampler("tpe")
    with pytest.raises(JobError, match="population: must be at least 1, got 0"):
        SearcherSampler(population=0)
