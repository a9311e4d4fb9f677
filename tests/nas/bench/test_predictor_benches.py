"""`nas bench accuracy-predictor` and `nas bench latency-transfer` as commands, on tables of known laws."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import kendalltau

from nas.bench.accuracy_predictor import judged
from nas.bench.latency_transfer import TRANSFERS
from nas.cli import main
from predictors.registry import ACCURACY_PREDICTORS

GENES = [f"op_{i}" for i in range(8)]
KEYS = {"kendall_mean", "kendall_std", "spearman_mean", "spearman_std", "within_10_mean", "mape_mean", "coverage_90"}


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(0)
    codes = rng.integers(4, size=(2200, 8))
    frame = pd.DataFrame(codes, columns=GENES)
    common = rng.gamma(1.0, size=(8, 4))
    for device in ("a_1", "b_1", "c_1", "new"):
        cost = common + 0.5 * rng.gamma(1.0, size=(8, 4))
        frame[f"lat_ms_{device}"] = cost[np.arange(8), codes].sum(axis=1) * np.exp(0.01 * rng.normal(size=2200))
    worth = rng.normal(size=(8, 4))[np.arange(8), codes].sum(axis=1)
    frame["accuracy"] = 90 + 5 * np.tanh(worth / 3) + 0.1 * rng.normal(size=2200)
    path = tmp_path_factory.mktemp("tables") / "table.csv.gz"
    frame.to_csv(path, index=False)
    return path


def rows(capsys: pytest.CaptureFixture[str], *words: str) -> list[dict[str, object]]:
    assert main(["bench", *words, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert set(found) == {"rows"}
    return list(found["rows"])


def test_every_accuracy_predictor_of_the_registry_learns(
    table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("predictors.encoder_training.EPOCHS", 6)
    monkeypatch.setattr("predictors.encoder_training.TUNE_STEPS", (60, 60))
    options = ["--table", str(table), "--operators", ",".join(GENES), "--target", "accuracy", "--train", "40,200"]
    found = rows(
        capsys, "accuracy-predictor", *options, "--seeds", "1", "--test", "300", "--out", str(tmp_path / "rows.csv")
    )
    assert {(row["predictor"], row["train"]) for row in found} == {
        (n, t) for n in ACCURACY_PREDICTORS for t in (40, 200)
    }
    assert all(set(row) >= KEYS | {"target"} for row in found)
    taus = {(row["predictor"], row["train"]): float(str(row["kendall_mean"])) for row in found}
    for name in ACCURACY_PREDICTORS:
        assert taus[name, 200] > max(taus[name, 40], 0.5)
    assert taus["stacked", 200] > 0.75
    assert len(pd.read_csv(tmp_path / "rows.csv")) == len(found)


def test_every_way_of_transfer_runs_under_both_protocols(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--table", str(table), "--operators", ",".join(GENES), "--targets", "lat_ms_new", "--seeds", "2"]
    options += ["--sources", "lat_ms_a_1,lat_ms_b_1,lat_ms_c_1", "--samples", "6,12"]
    for more in ([], ["--trim", "0.8"], ["--chosen", "--predictors", "shared"]):
        found = rows(capsys, "latency-transfer", *options, *more)
        names = ["shared"] if "--chosen" in more else list(TRANSFERS)
        assert {(row["predictor"], row["samples"]) for row in found} == {(n, s) for n in names for s in (6, 12)}
        assert all(set(row) >= KEYS | {"target"} for row in found)
        assert min(float(str(row["spearman_mean"])) for row in found if row["predictor"] == "shared") > 0.7


def test_a_table_is_shown_where_json_is_not_asked_for(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--table", str(table), "--operators", ",".join(GENES), "--target", "accuracy", "--train", "30"]
    assert main(["bench", "accuracy-predictor", *options, "--seeds", "1", "--predictors", "ridge"]) == 0
    text = capsys.readouterr().out
    assert "ridge" in text
    assert "kendall" in text


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["accuracy-predictor", "--target", "accuracy", "--train", "ten"],
            "--train: got 'ten'; legal: whole numbers from 5",
        ),
        (["accuracy-predictor", "--target", "nothing"], "--target: got 'nothing'"),
        (
            ["accuracy-predictor", "--target", "accuracy", "--predictors", "magic"],
            "--predictors: got 'magic'; legal: stacked",
        ),
        (["accuracy-predictor", "--target", "accuracy", "--train", "9999"], "--train: got 9999; legal: at most"),
        (["latency-transfer", "--sources", "lat_ms_a_1", "--targets", "lat_ms_x"], "--targets: got 'lat_ms_x'"),
        (["latency-transfer", "--sources", "lat_ms_a_1", "--targets", "lat_ms_new", "--trim", "2"], "--trim: got 2"),
    ],
)
def test_wrong_options_exit_2_and_are_named(
    words: list[str], message: str, table: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", *words, "--table", str(table), "--operators", ",".join(GENES)]) == 2
    assert message in " ".join(capsys.readouterr().err.split())


def test_figures_are_what_they_are_called() -> None:
    rng = np.random.default_rng(1)
    true = rng.uniform(50, 100, size=400)
    std = rng.uniform(1, 5, size=400)
    mean = true + std * rng.normal(size=400)
    found = judged(mean, std, true)
    assert found["kendall"] == pytest.approx(kendalltau(mean, true)[0])
    assert found["coverage_90"] == pytest.approx(0.9, abs=0.05)
    assert found["certain_over_rest"] < 0.8
    assert found["mape"] == pytest.approx((np.abs(mean - true) / true).mean())
