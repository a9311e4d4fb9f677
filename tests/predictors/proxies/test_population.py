"""Zero-cost proxies of whole populations: in processes, as features, as a warm start."""

from __future__ import annotations

import itertools
import json
import pickle
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch

from predictors import AccuracyPredictor, PredictorError, features_of
from predictors.encoding import features_from
from predictors.proxies import (
    ProxyFeatures,
    ProxyScores,
    RandomBatch,
    mean_rank,
    warm_start,
)
from search_spaces import build_operator, get_space
from tests.predictors.proxies.networks import CELL


def test_a_population_is_scored_alike_in_other_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pool of threads, but all that goes in is pickled as for a process: starting one costs more than all else here."""

    class Pool(ThreadPoolExecutor):
        def map(self, fn: Any, *tasks: Any, **options: Any) -> Any:
            return super().map(pickle.loads(pickle.dumps(fn)), *pickle.loads(pickle.dumps(tasks)), **options)

    monkeypatch.setattr("predictors.proxies.population.ProcessPoolExecutor", lambda workers, context: Pool(1))
    monkeypatch.setattr(torch, "set_num_threads", lambda number: None)  # a worker's own affair
    rows = CELL.sample(3, np.random.default_rng(1))
    done: list[int] = []
    here = ProxyScores(CELL, ["params", "synflow", "nwot"], seed=3, batch=RandomBatch(4))(rows, done.append)
    there = ProxyScores(CELL, ["params", "synflow", "nwot"], seed=3, batch=RandomBatch(4), workers=2)(rows)
    assert done == [1, 2, 3]
    assert list(here) == ["params", "params_seconds", "synflow", "synflow_seconds", "nwot", "nwot_seconds", "undefined"]
    for name in ("params", "synflow", "nwot"):
        assert here[name].to_numpy() == pytest.approx(there[name].to_numpy(), rel=1e-6, nan_ok=True)
    other = ProxyScores(CELL, ["synflow"], seed=4, batch=RandomBatch(4))(rows)
    assert (other["synflow"] != here["synflow"]).all()


def test_a_random_batch_suits_images_and_sequences() -> None:
    for name, labels in (("nas-bench-201", (5,)), ("hybrid-sequence", (5, 128))):
        space = get_space(name)
        architecture = space.architecture(space.sample(1, np.random.default_rng(0))[0])
        inputs, found = RandomBatch(size=5)(architecture)
        assert inputs.shape == (5, *architecture.input_shape)
        assert found.shape == labels
        if name == "hybrid-sequence":
            assert torch.equal(inputs[:, 1:], found[:, :-1])


def test_proxies_are_features_beside_others() -> None:
    base, scores = features_of(CELL), ProxyScores(CELL, ["params", "synflow", "nwot"], batch=RandomBatch(4))
    features = ProxyFeatures(base, scores)
    rows = np.array([*itertools.product((1, 2, 3), (1, 4), (0,), (0,), (0,), (2, 3))][:8])
    found = features(rows)
    assert found.shape == (8, features.width) == (8, base.width + 3)
    assert np.array_equal(found[:, : base.width], base(rows))
    parameters = CELL.additive(lambda spec: sum(p.numel() for p in build_operator(spec).parameters())).score(rows)
    assert found[:, base.width] == pytest.approx(np.log1p(parameters), rel=1e-6)
    again = features_from(json.loads(json.dumps(features.definition)))
    assert np.array_equal(again(rows[:2]), found[:2])
    mean, _ = AccuracyPredictor(features, learners=["ridge"]).fit(rows, parameters / 1e6).predict(rows)
    assert np.corrcoef(mean, parameters)[0, 1] > 0.99
    with pytest.raises(PredictorError, match="legal: names, seed, batch"):
        features_from({**features.definition, "seed": "one"})


def test_a_warm_start_is_what_the_proxies_rank_first() -> None:
    scores = ProxyScores(CELL, ["params", "synflow"], batch=RandomBatch(4))
    rows = np.array([[0, 0, 0, 0, 0, 0], [3, 3, 3, 3, 3, 3], [1, 0, 0, 2, 0, 0], [1, 0, 0, 0, 0, 0]], np.int16)
    assert warm_start(scores, rows, 2).tolist() == [[3] * 6, [1, 0, 0, 2, 0, 0]]
    ranks = mean_rank(scores(rows)[["params", "synflow"]])
    assert ranks.max() == 1.0
