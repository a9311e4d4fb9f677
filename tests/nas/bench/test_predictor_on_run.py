"""`nas bench accuracy-predictor` on a trained run, and with scores of another task known."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from nas.bench.known_scores import bench_known_scores
from nas.bench.run_table import run_tabular
from nas.bench.tabular import read_tabular
from nas.cli import main
from nas.errors import JobError
from nas.progress import Silent
from nas.run import RunDirectory
from predictors import encoder, encoder_training

GENES = [f"op_{i}" for i in range(4)]


@pytest.fixture
def table(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.integers(3, size=(60, 4)), columns=GENES)
    frame["accuracy"] = frame.sum(axis=1) + 0.1 * rng.normal(size=60)
    frame["other"] = frame["accuracy"] ** 2
    frame.to_csv(tmp_path / "table.csv", index=False)
    return tmp_path / "table.csv"


def test_a_run_is_a_table_of_what_its_networks_score(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["bench", "accuracy-predictor", "--run", str(trained), "--predictors", "ridge,gaussian-process", "--json"]
    words += ["--train", "5,8", "--test", "20", "--seeds", "2"]
    assert main(words) == 0
    first = json.loads(capsys.readouterr().out)["rows"]
    assert {(row["predictor"], row["train"]) for row in first} == {
        (p, t) for p in ("ridge", "gaussian-process") for t in (5, 8)
    }
    with RunDirectory.open(trained, read_only=True) as run:
        kept = {row["hash"]: float(row["accuracy"]) for row in run.read_rows("search/evaluations.csv")}
    assert len(kept) == 28
    read, metric, known = run_tabular(trained, 28, [], 0, Silent())
    assert metric == "accuracy"
    assert not known
    space = read.features._space  # type: ignore[attr-defined]
    assert [kept[space.architecture(row).hash] for row in read.codes] == list(read.values(metric, ""))
    same = run_tabular(trained, 4, [], 0, Silent())[0]
    assert np.array_equal(same.codes, read.codes[:4])


def test_what_is_known_is_not_of_those_that_are_predicted(table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoder_training, "EPOCHS", 1)
    monkeypatch.setattr(encoder_training, "TUNE_STEPS", (4, 4))
    monkeypatch.setattr(encoder, "RANDOM", 64)
    read = read_tabular(table, GENES, None)
    known = {"other": (read.features, read.codes, read.values("other", ""))}
    rows = bench_known_scores(read, "accuracy", known, [20], 1, ["encoder"], 15, Silent())
    assert list(rows["predictor"]) == ["encoder", "encoder from other"]
    everything = {"other": (read.features, read.codes[:1], np.ones(1))}
    held = read_tabular(table, GENES, None)
    held.codes[:] = held.codes[0]
    with pytest.raises(JobError, match="nothing is known"):
        bench_known_scores(held, "accuracy", everything, [20], 1, ["encoder"], 15, Silent())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--target", "accuracy"], "--table, --run: got neither or both"),
        (["--run", "RUN", "--table", "TABLE", "--target", "accuracy"], "--table, --run: got neither or both"),
        (["--run", "RUN", "--target", "accuracy"], "--run: a run has its own space and metric"),
        (["--run", "RUN", "--predictors", "magic"], "--predictors: got 'magic'"),
        (["--run", "RUN", "--known", "poems"], "--known: got 'poems'; legal with --run: conv"),
        (["--run", "nowhere"], "is no run"),
        (["--table", "TABLE"], "--target: is missing"),
        (
            ["--table", "TABLE", "--target", "accuracy", "--operators", "op_0,op_1", "--known", "no"],
            "--known: got 'no'",
        ),
        (
            [
                "--table",
                "TABLE",
                "--target",
                "accuracy",
                "--operators",
                "op_0",
                "--known",
                "other",
                "--predictors",
                "ridge",
            ],
            "legal with --known: encoder, stacked+encoder",
        ),
    ],
)
def test_mistakes_are_refused(
    words: list[str], message: str, trained: Path, table: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = {"RUN": str(trained), "TABLE": str(table)}
    assert main(["bench", "accuracy-predictor", "--train", "5", *(names.get(word, word) for word in words)]) == 2
    assert message in " ".join(capsys.readouterr().err.split())
