"""What is known in another table, of another space, as `nas bench accuracy-predictor --known` reads and uses it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import spearmanr

from nas.bench import known_scores
from nas.bench.known_scores import Known, bench_known_scores, elsewhere, known_tables
from nas.bench.tabular import Tabular, read_tabular
from nas.cli import main
from nas.progress import Silent
from predictors import encoder, encoder_training
from predictors.cell_features import CellFeatures
from predictors.cells import CELLS
from predictors.encoder import EncoderPredictor, known_encoder
from predictors.encoder_network import Encoder
from predictors.encoder_training import read
from predictors.encoding import Features
from predictors.tokens import tokens_from

BIG, SMALL = (CellFeatures(CELLS[name]) for name in ("nas-bench-201", "transnas-micro"))
EDGES = ["e01", "e02", "e12", "e03", "e13", "e23"]


def rows(features: Features, count: int, seed: int) -> np.ndarray:
    return tokens_from(features.definition).sample(count, np.random.default_rng(seed))


@pytest.fixture
def tables(tmp_path: Path) -> dict[str, Path]:
    """One of each space, 40 random cells; of the small one a value is missing, and a name has colons."""
    big = pd.DataFrame(rows(BIG, 40, 0), columns=EDGES)
    big["accuracy"] = np.arange(40) / 40
    small = pd.DataFrame({"arch": ["64-41414-" + "_".join(map(str, row)) for row in rows(SMALL, 40, 1)]})
    small["scene"] = [None, *range(39)]
    small["top:5:scene"] = np.arange(40)
    found = {"BIG": tmp_path / "big.csv", "SMALL": tmp_path / "small.csv"}
    big.to_csv(found["BIG"], index=False)
    small.to_csv(found["SMALL"], index=False)
    return found


def test_words_with_colons_are_other_tables_unless_they_are_columns() -> None:
    words = ["plain", "a:b", "file.csv:space:column", "file.csv:space:a:b"]
    assert elsewhere(words) == words[1:]
    assert elsewhere(words, ["a:b", "plain"]) == words[2:]


def test_another_table_is_read_with_its_own_features(tables: dict[str, Path]) -> None:
    at = tables["SMALL"]
    found = known_tables([f"{at}:transnas-micro:scene", f"{at}:transnas-micro:top:5:scene"])
    assert list(found) == ["transnas-micro:scene", "transnas-micro:top:5:scene"]
    for (features, codes, values), wanted in zip(found.values(), (np.arange(39), np.arange(40)), strict=True):
        assert features.definition == SMALL.definition
        assert np.array_equal(values, wanted)
        assert np.array_equal(codes, rows(SMALL, 40, 1)[-len(wanted) :])


@pytest.mark.parametrize(
    ("known", "message"),
    [
        ("SMALL", "--known: got"),
        ("SMALL:transnas-micro", "legal: a column of the table, or FILE:SPACE:COLUMN of another"),
        (":transnas-micro:scene", "legal: a column of the table, or FILE:SPACE:COLUMN of another"),
        ("none.csv:transnas-micro:scene", "--known: none.csv:transnas-micro:scene: none.csv does not exist"),
        ("SMALL:nowhere:scene", "got 'nowhere'; legal:"),
        ("SMALL:hybrid-sequence:scene", "says not where its genes are"),
        ("SMALL:nas-bench-201:scene", "nas-bench-201 needs the columns"),
        ("SMALL:transnas-micro:scenes", "got 'scenes'; legal: 'scene' (did you mean it?)"),
        ("SMALL:transnas-micro:scene,SMALL:transnas-micro:scene", "legal: transnas-micro:scene once"),
    ],
)
def test_mistakes_name_the_option_and_the_word(
    known: str,
    message: str,
    tables: dict[str, Path],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tables["BIG"].parent)
    words = ["--table", "big.csv", "--space", "nas-bench-201", "--target", "accuracy", "--train", "5"]
    assert main(["bench", "accuracy-predictor", *words, "--known", known.replace("SMALL", "small.csv")]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert message in said
    assert "--known: " in said


def test_plain_codes_learn_from_no_other_table(tables: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    known = f"{tables['SMALL']}:transnas-micro:scene"
    words = ["--table", str(tables["BIG"]), "--operators", ",".join(EDGES), "--target", "accuracy", "--known", known]
    assert main(["bench", "accuracy-predictor", *words, "--train", "5"]) == 2
    assert "--space: is missing" in " ".join(capsys.readouterr().err.split())


class _Guess:
    """A predictor that costs nothing."""

    def fit(self, X: np.ndarray, y: np.ndarray) -> None:
        pass

    def predict(self, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.arange(len(X), dtype=float), np.arange(1.0, len(X) + 1)


def test_judged_architectures_are_kept_from_their_own_space_alone(
    tables: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether by a column of the table or by another file of its space; codes of another space are other networks."""
    taught: list[list[Any]] = []

    def kept(known: list[Any], features: Features) -> Encoder:
        taught.append([(each[0].definition["name"], {row.tobytes() for row in each[1]}) for each in known])
        assert features is table.features
        return Encoder()

    monkeypatch.setattr(known_scores, "known_encoder", kept)
    monkeypatch.setitem(known_scores.ENCODERS, "encoder", lambda features, seed, encoder: _Guess())
    monkeypatch.setitem(known_scores.ACCURACY_PREDICTORS, "encoder", lambda features, seed: _Guess())
    table = read_tabular(tables["BIG"], None, "nas-bench-201")
    low = table.codes.clip(max=3)  # legal in both spaces
    table = Tabular(low, table.features, table.frame)
    values = np.arange(40.0)
    again = CellFeatures(CELLS["nas-bench-201"])
    known: dict[str, Known] = {
        "own": (table.features, low, values),
        "file": (again, low, values),
        "other": (SMALL, low, values),
    }
    found = bench_known_scores(table, "accuracy", known, [5, 10], 3, ["encoder"], 20, Silent())
    assert set(found["predictor"]) == {"encoder", "encoder from own,file,other"}
    for (_, own), (_, file), (_, other) in taught:
        assert own == file
        assert len(own) <= 20
        assert len(other) == len(np.unique(low, axis=0))
        assert own < other
    assert len(taught) == 3


def test_an_operator_says_the_same_in_either_space_and_its_wiring_too() -> None:
    """So that what is learnt in one means something in the other: no gene, place in a row or name of a space is told."""
    X = rows(SMALL, 30, 3)
    for mine, its in zip(*(read(tokens_from(each.definition), X) for each in (BIG, SMALL)), strict=True):
        assert torch.equal(mine, its)


def test_what_is_known_in_one_space_helps_in_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoder_training, "EPOCHS", 6)
    monkeypatch.setattr(encoder_training, "TUNE_STEPS", (40, 40))
    monkeypatch.setattr(encoder, "RANDOM", 256)

    def worth(features: CellFeatures, X: np.ndarray) -> np.ndarray:
        """Of what is live, by weights that nothing free tells."""
        return 60 + np.array([0, 3, -2, 4, 1])[features.cell.live(X)].sum(axis=1)

    source, few, new = rows(SMALL, 500, 4), rows(BIG, 8, 5), rows(BIG, 400, 6)
    scores = worth(SMALL, source)
    starts = [
        known_encoder([(SMALL, source, values[:, None])], features=BIG)
        for values in (np.random.default_rng(0).permutation(scores), scores)  # untrue ones, and true ones
    ]
    taus = []
    for start in starts:
        made = EncoderPredictor(BIG, 0, encoder=start).fit(few, worth(BIG, few))
        taus.append(spearmanr(made.predict(new)[0], worth(BIG, new))[0])
    assert taus[1] > max(taus[0] + 0.05, 0.7)
