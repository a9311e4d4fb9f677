"""`nas bench in-device`, `nas bench timm-models` and `nas bench throughput`, on tables of known laws."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from nas.bench.in_device import Split
from nas.cli import main
from nas.latency.known import SHIPPED
from predictors.registry import ACCURACY_PREDICTORS, IN_DEVICE_PREDICTORS

KEYS = {"spearman_mean", "spearman_std", "within_5_mean", "within_10_mean", "mape_mean", "coverage_90", "seeds"}
KEYS |= {"certain_over_rest_mean", "certain_over_rest_std", "predictor", "target", "train"}
GENES = [f"op_{i}" for i in range(5)]


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """140 architectures on two devices, a row for each of both."""
    rng = np.random.default_rng(0)
    parts = []
    for device in ("one", "two"):
        codes = rng.integers(3, size=(140, 5))
        frame = pd.DataFrame(codes, columns=GENES)
        cost = rng.gamma(2.0, size=(5, 3))
        ms = cost[np.arange(5), codes].sum(axis=1) * np.exp(0.01 * rng.normal(size=140))
        frame["device"], frame["family"] = device, [f"f{i}" for i in rng.integers(9, size=140)]
        frame["first_ms"], frame["rest_ms"] = 0.3 * ms, 0.7 * ms
        frame["batch"] = 4
        frame["gmacs"], frame["width"] = 2.0 * ms * np.exp(0.01 * rng.normal(size=140)), rng.integers(1, 9, size=140)
        parts.append(frame)
    path = tmp_path_factory.mktemp("tables") / "table.csv"
    pd.concat(parts).to_csv(path, index=False)
    return path


def rows(capsys: pytest.CaptureFixture[str], *words: str) -> list[dict[str, object]]:
    assert main(["bench", *words, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert set(found) == {"rows"}
    return list(found["rows"])


def test_every_predictor_learns_every_device(table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--table", str(table), "--operators", ",".join(GENES), "--device", "device", "--seeds", "1"]
    options += ["--target", "first_ms+rest_ms", "--train", "90", "--predictors", ",".join(IN_DEVICE_PREDICTORS)]
    found = rows(capsys, "in-device", *options, "--out", str(tmp_path / "rows.csv"))
    assert {(row["predictor"], row["target"]) for row in found} == {
        (name, device) for name in IN_DEVICE_PREDICTORS for device in ("one", "two")
    }
    assert all(set(row) >= KEYS and row["train"] == 90 for row in found)
    for row in found:
        assert float(str(row["spearman_mean"])) > (0.97 if row["predictor"] in ("stacked", "additive") else 0.7)
    assert len(pd.read_csv(tmp_path / "rows.csv")) == len(found)


def test_numbers_tell_architectures_and_groups_are_held_out_whole(
    table: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--table", str(table), "--features", "gm*,width", "--device", "device", "--seeds", "2"]
    options += ["--target", "first_ms/batch", "--group", "family", "--folds", "3", "--predictors", "additive"]
    found = rows(capsys, "in-device", *options)
    assert [row["target"] for row in found] == ["one", "two"]
    assert all(row["train"] == 93 and row["seeds"] == 2 for row in found)
    assert min(float(str(row["within_10_mean"])) for row in found) > 0.95


@pytest.mark.parametrize("folds", [2, 5])
def test_no_group_is_in_two_parts_and_every_row_is_judged_once(folds: int) -> None:
    groups = np.random.default_rng(1).integers(12, size=200).astype(str)
    known = np.flatnonzero(np.arange(200) % 7)
    draws = list(Split(0, None, groups, folds).draws(known, 3))
    assert sorted(np.concatenate([judged for _, judged in draws])) == sorted(known)
    for learnt, judged in draws:
        assert not set(groups[learnt]) & set(groups[judged])
        assert sorted([*learnt, *judged]) == sorted(known)


def test_a_table_is_shown_where_json_is_not_asked_for(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--operators", ",".join(GENES), "--target", "first_ms", "--train", "60", "--test", "20", "--seeds", "1"]
    assert main(["bench", "in-device", "--table", str(table), *options, "--predictors", "ridge"]) == 0
    assert "ridge" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--target", "first_ms"], "--operators: is missing"),
        (["--target", "first_ms", "--features", "gmacs", "--space", "nas-bench-201"], "--features: came with"),
        (["--target", "first_ms", "--features", "x*"], "--features: 'x*' is none of the columns"),
        (["--target", "first_ms", "--features", "gmcs"], "--features: got 'gmcs'; legal: 'gmacs'"),
        (["--target", "first_ms", "--features", "device"], "--features: column 'device' holds no numbers"),
        (["--target", "nothing", "--features", "gmacs"], "--target: got 'nothing'"),
        (["--target", ",", "--features", "gmacs"], "--target: is empty"),
        (["--target", "first_ms", "--features", "gmacs", "--group", "x"], "--group: got 'x'"),
        (["--target", "first_ms", "--features", "gmacs", "--device", "x"], "--device: got 'x'"),
        (
            ["--target", "first_ms", "--features", "gmacs", "--group", "family", "--folds", "99"],
            "--group: holds 9 groups",
        ),
        (["--target", "first_ms", "--features", "gmacs", "--train", "999"], "--train: got 999; legal: at most 270"),
        (["--target", "first_ms", "--features", "gmacs", "--predictors", "magic"], "--predictors: got 'magic'"),
    ],
)
def test_wrong_options_exit_2_and_are_named(
    words: list[str], message: str, table: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", "in-device", "--table", str(table), *words]) == 2
    assert message in " ".join(capsys.readouterr().err.split())


def test_latencies_must_be_positive(table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frame = pd.read_csv(table)
    frame.loc[3, "first_ms"] = 0.0
    frame.to_csv(tmp_path / "t.csv", index=False)
    words = ["--table", str(tmp_path / "t.csv"), "--features", "gmacs", "--target", "first_ms"]
    assert main(["bench", "in-device", *words]) == 2
    assert "--target: 'first_ms' has values that are not positive" in " ".join(capsys.readouterr().err.split())


def test_timm_models_are_told_by_their_operators(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if importlib.util.find_spec("timm") is None:
        pytest.skip("timm is not installed")
    names = ["resnet18.a1_in1k", "vit_tiny_patch16_224", "no_such_model"]
    pd.DataFrame({"model": names, "side": [64, 224, 64]}).to_csv(tmp_path / "t.csv", index=False)
    words = ["--table", str(tmp_path / "t.csv"), "--out", str(tmp_path / "out.csv.gz"), "--size", "side"]
    assert main(["bench", "timm-models", *words]) == 0
    assert "no_such_model" in capsys.readouterr().out
    found = pd.read_csv(tmp_path / "out.csv.gz").set_index("model")
    assert list(found["family"]) == ["resnet", "vision_transformer"]
    macs = found[[name for name in found.columns if name.endswith("_mmacs")]].sum(axis=1)
    assert macs["resnet18.a1_in1k"] == pytest.approx(1819 * (64 / 224) ** 2, rel=0.01)  # published: 1.82 GMACs at 224
    assert found.loc["resnet18.a1_in1k", "norm_calls"] == 20
    tokens, width, depth = 197, 192, 12  # of ViT-Ti/16: scores and weighted values of every block
    assert found.loc["vit_tiny_patch16_224", "matmul_mmacs"] == pytest.approx(2 * depth * tokens**2 * width / 1e6)
    assert main(["bench", "timm-models", *words, "--model", "nothing"]) == 2


def test_every_predictor_is_timed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nas.bench.throughput.SECONDS", 1e-9)  # one round
    monkeypatch.setattr("predictors.learners.TREES", 4)  # fitting is not what is tested
    monkeypatch.setattr("predictors.encoder_training.EPOCHS", 1)
    monkeypatch.setattr("predictors.encoder_training.TUNE_STEPS", (2, 2))
    tables = [str(path.parent) for path in sorted(SHIPPED.glob("*/*/*/header.json"))[:2]]
    found = rows(capsys, "throughput", *tables, "--rows", "50", "--train", "10")
    assert {row["predictor"] for row in found if row["tells"] == "accuracy"} == set(ACCURACY_PREDICTORS)
    assert {row["predictor"] for row in found if row["tells"] == "latency, in-device"} == set(IN_DEVICE_PREDICTORS)
    assert {row["predictor"] for row in found if row["tells"] == "latency"} == {"table", "calibrated"}
    for row in found:
        assert float(str(row["predicted_per_s"])) * float(str(row["seconds"])) == pytest.approx(50)
