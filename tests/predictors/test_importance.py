"""Module importance against scikit-learn's ridge regression and on sums that are known."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from predictors import PredictorError
from predictors.importance import ImportanceModel
from search_spaces.space import Choice, SearchSpace

MIXERS = ("conv", "attention", "ssm")


def layered() -> SearchSpace:
    """Two stages of up to two layers: a mixer each, whose kernel is active where it is a convolution."""
    choices = []
    for stage in ("stage1", "stage2"):
        choices.append(Choice(f"{stage}.depth", (1, 2)))
        for layer in (1, 2):
            depths = (1, 2) if layer == 1 else (2,)
            mixer = f"{stage}.layer{layer}.mixer"
            choices.append(Choice(mixer, MIXERS, when=(f"{stage}.depth", depths)))
            choices.append(Choice(f"{stage}.layer{layer}.kernel", (3, 5), when=(mixer, ("conv",))))
    return SearchSpace("layered", {}, choices, ())


SPACE = layered()
ROWS = np.unique(SPACE.sample(2000, np.random.default_rng(0)), axis=0)


def expanded(X: np.ndarray) -> np.ndarray:
    """One column a term, and one for each group of alike terms, in a stage and in all: what the covariance stands for."""
    active = SPACE.active(X)
    names, columns = [], []
    for g, choice in enumerate(SPACE.choices):
        for v, value in enumerate(choice.values):
            names.append((choice.name, value))
            columns.append((X[:, g] == v) & active[:, g])
    own = np.column_stack(columns).astype(float)
    pools = [own]
    for pattern in (r"\d+", r"(?<=layer)\d+"):
        groups = [(re.sub(pattern, "*", name), value) for name, value in names]
        for group in dict.fromkeys(groups):
            if groups.count(group) > 1:
                pools.append(own[:, [other == group for other in groups]].sum(axis=1, keepdims=True))
    return np.column_stack(pools)


def truth(rng: np.random.Generator) -> np.ndarray:
    """A sum that the model believes in: independent parts of every column."""
    return expanded(ROWS) @ rng.normal(size=expanded(ROWS[:1]).shape[1])


def test_it_is_the_ridge_regression_of_scikit_learn_and_leaves_out_as_it_does() -> None:
    rng = np.random.default_rng(1)
    some = rng.permutation(len(ROWS))[:30]
    y = truth(rng)[some] + rng.normal(size=30)
    model = ImportanceModel(SPACE).fit(ROWS[some], y)
    Z = expanded(ROWS)
    ridge = Ridge(model._penalty).fit(Z[some], y)
    assert model(ROWS) == pytest.approx(ridge.predict(Z), abs=1e-6)
    for out in (0, 7):
        others = np.delete(some, out)
        again = Ridge(model._penalty).fit(Z[others], np.delete(y, out))
        assert model.left_out[out] == pytest.approx(float(again.predict(Z[some[[out]]])[0]), abs=1e-6)


def test_it_is_additive_over_its_terms() -> None:
    model = ImportanceModel(SPACE).fit(ROWS[:40], np.arange(40.0))
    weight = dict(zip(model.terms, model.weights, strict=True))
    for row, active, score in zip(ROWS[-20:], SPACE.active(ROWS[-20:]), model(ROWS[-20:]), strict=True):
        total = sum(weight[g, int(row[g])] for g in range(len(row)) if active[g])
        assert score == pytest.approx(model.constant + total)


def test_its_errors_hold_what_they_say() -> None:
    """Sums drawn as the model believes, seen with noise: nine in ten importances lie within 1.645 errors."""
    inside = []
    for seed in range(30):
        rng = np.random.default_rng(seed)
        parts = rng.normal(size=expanded(ROWS[:1]).shape[1])
        some = rng.permutation(len(ROWS))[:60]
        model = ImportanceModel(SPACE).fit(ROWS[some], expanded(ROWS[some]) @ parts + 2.0 * rng.normal(size=60))
        table = model.table()
        terms = [(choice.name, value) for choice in SPACE.choices for value in choice.values]
        groups = [[(re.sub(p, "*", name), value) for name, value in terms] for p in (r"\d+", r"(?<=layer)\d+")]
        weights, at = parts[: len(terms)].copy(), len(terms)
        for names in groups:
            for group in dict.fromkeys(names):
                if names.count(group) > 1:
                    weights[[name == group for name in names]] += parts[at]
                    at += 1
        known = dict(zip(terms, weights, strict=True))
        for row in table.itertuples():
            choice = SPACE.choices[SPACE.index[row.gene]]
            mean = np.mean([known[row.gene, value] for value in choice.values])
            inside.append(abs(row.importance - (known[row.gene, row.value] - mean)) <= 1.645 * row.error)
    assert 0.82 < np.mean(inside) < 0.97


def test_draws_spread_as_the_errors_do() -> None:
    rng = np.random.default_rng(2)
    model = ImportanceModel(SPACE).fit(ROWS[::40], truth(rng)[::40] + rng.normal(size=len(ROWS[::40])))
    draws = np.array([model._centred(model.draw(rng)) for _ in range(1500)])
    names = [(SPACE.choices[g].name, SPACE.choices[g].values[v]) for g, v in model.terms]
    table = model.table().set_index(["gene", "value"]).loc[names]
    assert draws.std(axis=0) == pytest.approx(table["error"].to_numpy(), rel=0.1)
    assert (np.abs(draws.mean(axis=0) - table["importance"]) < 0.15 * table["error"]).all()


def test_the_table_ranks_what_carries_the_score_and_knows_alike_places_that_it_has_not_seen() -> None:
    score = SPACE.active(ROWS)[:, 2] * 0.1 * ROWS[:, 2]
    score = score + 3.0 * (ROWS[:, SPACE.index["stage1.layer1.mixer"]] == 1)
    table = ImportanceModel(SPACE).fit(ROWS, score).table()
    assert list(table.columns) == ["gene", "value", "importance", "error", "seen"]
    assert (table["gene"][0], table["value"][0]) == ("stage1.layer1.mixer", "attention")
    assert (np.diff(table["importance"]) <= 0).all()
    assert (table["error"] >= 0).all()
    unseen = ROWS[(ROWS[:, SPACE.index["stage2.layer1.mixer"]] != 1)]
    good = 3.0 * (unseen[:, SPACE.index["stage1.layer1.mixer"]] == 1)
    rows = ImportanceModel(SPACE).fit(unseen, good).table().set_index(["gene", "value"])
    assert rows.loc[("stage2.layer1.mixer", "attention"), "seen"] == 0
    assert rows.loc[("stage2.layer1.mixer", "attention"), "importance"] > 0


@pytest.mark.parametrize(
    ("X", "scores", "said"),
    [
        (ROWS[:1], [1.0], "scores: expected at least 2 finite numbers, one a row of 1"),
        (ROWS[:3], [1.0, 2.0], "one a row of 3, got shape"),
        (ROWS[:2], [1.0, np.nan], "scores: expected at least 2 finite"),
        (ROWS[:2, :3], [1.0, 2.0], "X: expected rows of 10 genes of 'layered'"),
        (ROWS[:2] + 7, [1.0, 2.0], "X: expected rows of 10 genes"),
        (ROWS[:2] * 1.0, [1.0, 2.0], "got float64 of shape"),
    ],
)
def test_bad_input_is_named(X: Any, scores: Any, said: str) -> None:
    with pytest.raises(PredictorError, match=re.escape(said)):
        ImportanceModel(SPACE).fit(X, scores)


def test_nothing_is_said_before_a_fit() -> None:
    model = ImportanceModel(SPACE)
    for ask in (model.table, lambda: model(ROWS), lambda: model.draw(np.random.default_rng(0))):
        with pytest.raises(PredictorError, match="call fit"):
            ask()


def test_scores_that_do_not_vary_carry_nothing() -> None:
    table = ImportanceModel(SPACE).fit(ROWS[:5], np.ones(5)).table()
    assert np.allclose(table["importance"], 0)
    assert np.isfinite(table["error"]).all()
