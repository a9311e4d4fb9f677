"""Genes of a training recipe beside those of an architecture: as features, as tokens, and in what predictors learn."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import kendalltau

from predictors import PredictorError, encoder_training
from predictors.accuracy import AccuracyPredictor
from predictors.cell_features import CellFeatures
from predictors.cells import CELLS
from predictors.code_features import CodeFeatures
from predictors.encoder import EncoderPredictor, free_task
from predictors.encoder_network import Encoder
from predictors.encoding import Features, features_from, features_of
from predictors.process import ProcessPredictor
from predictors.recipe_features import RecipeFeatures
from predictors.token_sequences import ABSENT, BESIDE, SELF
from predictors.tokens import tokens_from
from search_spaces.spaces import get_space

# names that a file would sort otherwise
RECIPE: dict[str, list[Any]] = {
    "rate": [1e-4, 1e-3, 1e-2, 1e-1],
    "optimizer": ["adam", "lamb", "sgd"],
    "epochs": [2, 4, 8],
}
SIZES = [4, 3, 3]
MACRO = get_space("nas-bench-macro")
KINDS: dict[str, tuple[Features, np.ndarray]] = {
    "space": (features_of(MACRO), MACRO.sample(40, np.random.default_rng(0)).astype(int)),
    "codes": (CodeFeatures([3, 3, 3]), np.random.default_rng(0).integers(3, size=(40, 3))),
    "cell": (CellFeatures(CELLS["nas-bench-201"]), np.random.default_rng(0).integers(5, size=(40, 6))),
}


def rows(kind: str) -> tuple[RecipeFeatures, np.ndarray]:
    features, X = KINDS[kind]
    return RecipeFeatures(features, RECIPE), np.hstack((X, np.random.default_rng(1).integers(SIZES, size=(len(X), 3))))


@pytest.mark.parametrize("kind", KINDS)
def test_features_of_both_are_those_of_each(kind: str) -> None:
    features, X = rows(kind)
    own = KINDS[kind][0]
    found = features(X)
    assert found.shape == (40, features.width)
    assert found.dtype == np.float32
    assert features.columns == X.shape[1] == own.columns + 3
    assert set(np.unique(found[:, : features.genes])) <= {0.0, 1.0}
    again = features_from(json.loads(json.dumps(features.definition, sort_keys=True)))
    assert np.array_equal(again(X), found)
    plain = own(X[:, : own.columns])
    words = features.genes - own.genes
    assert np.array_equal(found[:, : own.genes], plain[:, : own.genes])
    assert np.array_equal(found[:, features.genes :][:, : own.width - own.genes], plain[:, own.genes :])
    one_hot = found[:, own.genes : features.genes].reshape(40, -1, 3)
    assert (one_hot == (X[:, [-2]] == np.arange(3))[:, None]).all()
    numbers = found[:, own.width + words :].reshape(40, -1, 2)
    assert np.allclose(numbers[..., 0], np.log(np.array(RECIPE["rate"]))[X[:, [-3]]])  # spans more than a decade
    assert np.array_equal(numbers[..., 1], np.tile(np.array(RECIPE["epochs"])[X[:, [-1]]], numbers.shape[1]))
    assert (
        0.75 * own.width <= features.width - own.width <= 1.25 * own.width
    )  # the recipe counts as the architecture does


def test_numbers_with_a_zero_stay_as_they_are() -> None:
    features = RecipeFeatures(CodeFeatures([2]), {"decay": [0.0, 0.01, 1.0]})
    assert features(np.array([[0, 1]]))[0, -1] == pytest.approx(0.01)


@pytest.mark.parametrize("kind", KINDS)
def test_recipe_tokens_stand_beside_those_of_the_architecture(kind: str) -> None:
    features, X = rows(kind)
    G = X.shape[1] - 3
    tokens, own = tokens_from(features.definition), tokens_from(KINDS[kind][0].definition)
    found, plain = tokens(X), own(X[:, :G])
    assert np.array_equal(tokens.cost(X), own.cost(X[:, :G]))
    for n in range(len(X)):
        count = plain.there[n].sum()
        assert found.there[n].sum() == count + 3
        assert np.array_equal(found.relations[n, :count, :count], plain.relations[n, :count, :count])
        rest = found.relations[n, count : count + 3, : count + 3]
        assert (rest == np.where(np.eye(3, count + 3, count, dtype=bool), SELF, BESIDE)).all()
        assert (found.relations[n, count + 3 :] == ABSENT).all()
        said = [tokens.vocabulary[found.operators[n, count + g]] for g in range(3)]
        assert len(np.unique(said, axis=0)) == 3
    drawn = tokens.sample(300, np.random.default_rng(0))
    assert (drawn[:, G:].max(axis=0) == np.array(SIZES) - 1).all()
    assert len(np.unique(tokens.vocabulary[len(own.vocabulary) :], axis=0)) == sum(SIZES)


def law(X: np.ndarray) -> np.ndarray:
    """Each first code has a best rate of its own; epochs help."""
    return 80 + X[:, 1] - X[:, 2] - 2.0 * np.abs(X[:, -3] - 1 - X[:, 0]) + 2.0 * X[:, -1]


def pairs(count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers([3, 3, 3, *SIZES], size=(count, 6))


def test_predictors_learn_which_recipe_suits_which_architecture() -> None:
    X, new = pairs(120, 1), pairs(300, 2)
    both = RecipeFeatures(CodeFeatures([3, 3, 3]), RECIPE)
    for made in (AccuracyPredictor(both), ProcessPredictor(both)):
        mean, std = made.fit(X, law(X)).predict(new)
        assert kendalltau(mean, law(new))[0] > 0.75
        assert (np.abs(mean - law(new)) <= 1.645 * std).mean() > 0.75
    # the same architectures alone, or recipes alone, cannot
    alone = AccuracyPredictor(CodeFeatures([3, 3, 3])).fit(X[:, :3], law(X)).predict(new[:, :3])[0]
    recipe = AccuracyPredictor(CodeFeatures(SIZES)).fit(X[:, 3:], law(X)).predict(new[:, 3:])[0]
    assert max(kendalltau(alone, law(new))[0], kendalltau(recipe, law(new))[0]) < 0.65


def test_saved_predictors_predict_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoder_training, "TUNE_STEPS", (30, 30))
    X, new = pairs(20, 1), pairs(30, 2)
    features = RecipeFeatures(CodeFeatures([3, 3, 3]), RECIPE)
    raw = Encoder(torch.Generator().manual_seed(0)).requires_grad_(False)
    for made in (AccuracyPredictor(features, 1), EncoderPredictor(features, 1, encoder=raw)):
        made.fit(X, law(X)).save(tmp_path / "predictor.npz")
        loaded = type(made).load(tmp_path / "predictor.npz")
        for mine, its in zip(made.predict(new), loaded.predict(new), strict=True):
            assert np.array_equal(mine, its)


def test_what_is_free_of_an_encoder_holds_the_recipe_and_no_proxies() -> None:
    space = get_space("nas-bench-macro")
    proxies = {
        "kind": "proxies",
        "features": features_of(space).definition,
        "space": space.definition,
        "names": ["synflow"],
        "seed": 0,
        "batch": {"size": 2, "seed": 0},
    }
    made = RecipeFeatures(features_from(proxies), RECIPE)
    task = free_task(made)
    plain = RecipeFeatures(features_of(space), RECIPE)
    assert np.array_equal(task.targets[1], plain(task.rows))


@pytest.mark.parametrize(
    "recipe",
    [
        None,
        {},
        [],
        [["rate"]],
        [["rate", []]],
        [["rate", [1.0, "x"]]],
        [["rate", [True]]],
        [["rate", [float("inf")]]],
        [[1, [1.0]]],
    ],
)
def test_what_is_no_recipe_is_refused(recipe: Any) -> None:
    with pytest.raises(PredictorError, match=r"recipe: got .*; legal: .gene, values. each"):
        features_from({"kind": "recipe", "features": {"kind": "codes", "cardinalities": [2]}, "recipe": recipe})


@pytest.mark.parametrize("code", [-1, 4])
def test_codes_without_a_value_are_refused(code: int) -> None:
    features, X = rows("codes")
    X[3, -3] = code
    with pytest.raises(PredictorError, match=r"recipe gene 'rate': got codes .*; legal: 0 to 3"):
        features(X)
