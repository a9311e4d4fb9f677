"""Pairs of an architecture and a recipe: trained to a table, and learnt from with the recipe's columns."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from nas.bench import recipes
from nas.bench.recipes import FACTORS, draw_recipes
from nas.bench.tabular import read_tabular, with_recipe
from nas.cli import main
from nas.job import TrainSection
from nas.training.trainer import TrainingFailed
from search_spaces import get_space, make_space

SPACE = {"name": "hybrid-vision", "preset": "tiny", "resolutions": [8], "mixers": ["mbconv"]}


def test_every_value_of_a_gene_comes_equally_often() -> None:
    own = TrainSection(epochs=8, warmup_epochs=1)
    found = draw_recipes(own, 48, np.random.default_rng(0))
    for gene, factors in FACTORS.items():
        values, counts = np.unique([getattr(one, gene) for one in found], return_counts=True)
        assert counts.tolist() == [48 // len(factors)] * len(factors)
        assert values == pytest.approx([getattr(own, gene) * factor for factor in factors])
    assert all(one.warmup_epochs == one.epochs / 8 for one in found)
    assert {one.batch_size for one in found} == {own.batch_size}
    assert len({one.model_dump_json() for one in found}) > 36  # drawn apart: nearly all differ


def job_file(folder: Path, **train: float) -> Path:
    job = {
        "name": "recipes",
        "threads": 1,
        "data": {"name": "digits", "limit": 200},
        "space": {key: value for key, value in SPACE.items() if key not in ("name", "preset")},
        "train": {"epochs": 4, "batch_size": 64, "warmup_epochs": 0.4, **train},
        "devices": [{"name": "cpu", "runtime": "torch"}],
    }
    path = folder / "job.json"
    path.write_text(json.dumps(job))
    return path


def test_pairs_are_trained_kept_and_gone_on_with(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "recipes.csv"
    words = ["bench", "train-recipes", str(job_file(tmp_path)), "--out", str(out), "--count"]
    assert main([*words, "4"]) == 0
    whole = out.read_bytes()
    table = pd.read_csv(out)
    assert table["accuracy"].between(0, 1).all()
    assert sorted(table["epochs"]) == [1, 1, 2, 4]
    assert sorted(table["learning_rate"]) == pytest.approx([0.0002, 0.0006, 0.002, 0.006])

    out.write_bytes(whole[: whole.index(b"\n", whole.index(b"\n", whole.index(b"\n") + 1) + 1) + 9])  # torn in row 3
    assert main([*words, "4"]) == 0
    assert out.read_bytes() == whole

    space = tmp_path / "space.json"
    space.write_text(json.dumps({**SPACE, "in_channels": 1}))
    read = read_tabular(out, None, str(space))
    assert read.features.columns == len(make_space(json.loads(space.read_text())).choices)

    assert main([*words, "3"]) == 2
    assert "of another job or --count" in " ".join(capsys.readouterr().err.split())
    job_file(tmp_path, learning_rate=0.003)
    assert main([*words, "4"]) == 2
    assert "row 1 is of another job or --count" in " ".join(capsys.readouterr().err.split())
    out.write_text("curve,epoch,value\na,1,0.5\n")
    assert main([*words, "4"]) == 2
    assert "has other columns" in " ".join(capsys.readouterr().err.split())
    assert main([*words[:3], "--out", str(tmp_path)]) == 2
    assert "is a folder" in " ".join(capsys.readouterr().err.split())

    def fails(*_: object) -> float:
        raise TrainingFailed

    monkeypatch.setattr(recipes, "train_alone", fails)
    assert main([*words[:3], "--out", str(tmp_path / "failed.csv"), "--count", "2"]) == 0
    assert pd.read_csv(tmp_path / "failed.csv")["accuracy"].isna().tolist() == [True, True]


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Cells, each with a recipe whose worth depends on the cell."""
    rng = np.random.default_rng(0)
    codes = rng.integers(5, size=(400, 6))
    frame = pd.DataFrame(codes, columns=["e01", "e02", "e12", "e03", "e13", "e23"])
    frame["lr"] = 10.0 ** rng.integers(-4, 0, size=400)
    frame["optimizer"] = rng.choice(["adam", "sgd"], size=400)
    frame["ema"] = rng.integers(2, size=400).astype(bool)
    best = -3 + (codes[:, 0] > 2)
    frame["accuracy"] = 90 - 3 * np.abs(np.log10(frame["lr"]) - best) + frame["ema"] + (codes == 3).sum(axis=1)
    path = tmp_path_factory.mktemp("tables") / "recipes.csv"
    frame.to_csv(path, index=False)
    return path


def test_columns_of_the_recipe_are_numbers_or_categories(table: Path) -> None:
    read = with_recipe(read_tabular(table, None, "nas-bench-201"), ["optimizer", "lr", "ema"])
    assert read.features.definition["recipe"] == [
        ["optimizer", ["adam", "sgd"]],
        ["lr", [1e-4, 1e-3, 1e-2, 1e-1]],
        ["ema", ["False", "True"]],
    ]
    assert read.codes.shape == (400, 9)
    values = [values for _, values in read.features.definition["recipe"]]
    assert [values[0][code] for code in read.codes[:, 6]] == read.frame["optimizer"].tolist()
    assert [values[1][code] for code in read.codes[:, 7]] == read.frame["lr"].tolist()


def test_predictors_that_are_told_the_recipe_rank_better(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["bench", "accuracy-predictor", "--table", str(table), "--space", "nas-bench-201", "--target", "accuracy"]
    words += ["--train", "100", "--seeds", "1", "--predictors", "trees,boosted", "--json"]
    taus = []
    for more in ([], ["--recipe", "lr,optimizer,ema"]):
        assert main([*words, *more]) == 0
        taus.append([row["kendall_mean"] for row in json.loads(capsys.readouterr().out)["rows"]])
    assert min(taus[1]) > max(taus[0]) + 0.2


@pytest.mark.parametrize(
    ("recipe", "said"),
    [
        ("rate", "--recipe: got 'rate'; legal: e01,"),
        ("lr,lr", "--recipe: 'lr' came twice"),
        ("accuracy", "--recipe: 'accuracy' is of --target, --known or --operators too"),
        ("holes", "--recipe: column 'holes' lacks numbers"),
    ],
)
def test_columns_that_are_no_recipe_are_refused(
    recipe: str, said: str, table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frame = pd.read_csv(table)
    frame["holes"] = frame["lr"].where(frame.index > 0)
    frame.to_csv(tmp_path / "t.csv", index=False)
    words = ["bench", "accuracy-predictor", "--table", str(tmp_path / "t.csv"), "--space", "nas-bench-201"]
    assert main([*words, "--target", "accuracy", "--recipe", recipe]) == 2
    assert said in " ".join(capsys.readouterr().err.split())


def test_a_run_has_no_columns_of_a_recipe(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "accuracy-predictor", "--run", str(tmp_path), "--recipe", "lr"]) == 2
    assert "--recipe" in " ".join(capsys.readouterr().err.split())


def test_genes_by_their_names_are_found_in_a_space_of_ours(tmp_path: Path) -> None:
    space = get_space("hybrid-vision/tiny")
    X = space.sample(5, np.random.default_rng(0))
    frame = pd.DataFrame(X, columns=[choice.name for choice in space.choices]).assign(accuracy=0.5)
    frame.to_csv(tmp_path / "t.csv", index=False)
    assert np.array_equal(read_tabular(tmp_path / "t.csv", None, "hybrid-vision/tiny").codes, X)
