"""Saved predictors: the same to the last bit, and clear about everything else."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from predictors import AccuracyPredictor, PredictorError
from predictors.cell_features import CellFeatures
from predictors.cells import CELLS
from predictors.code_features import CodeFeatures
from predictors.encoding import Features, features_of
from predictors.storage import read_fitted, write_fitted
from search_spaces import make_space

SPACE = make_space({"name": "hybrid-vision", "preset": "tiny", "resolutions": [8], "mixers": ["mbconv"]})
RNG = np.random.default_rng(0)
KINDS: dict[str, tuple[Features, np.ndarray]] = {
    "codes": (CodeFeatures([3] * 5), RNG.integers(3, size=(30, 5))),
    "cell": (CellFeatures(CELLS["nas-bench-201"]), RNG.integers(5, size=(30, 6))),
    "space": (features_of(SPACE), SPACE.sample(30, RNG)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_loaded_predicts_the_same_to_the_last_bit(kind: str, tmp_path: Path) -> None:
    features, rows = KINDS[kind]
    learners = ("process", "trees") if kind == "codes" else ("process",)  # trees are the same work for all features
    scores = rows[:20].sum(axis=1) + RNG.normal(size=20)
    made = AccuracyPredictor(features, seed=3, learners=learners).fit(rows[:20], scores)
    made.save(tmp_path / "accuracy.npz")
    loaded = AccuracyPredictor.load(tmp_path / "accuracy.npz")
    loaded.save(tmp_path / "again.npz")
    assert (tmp_path / "again.npz").read_bytes() == (tmp_path / "accuracy.npz").read_bytes()
    for ours, theirs in zip(loaded.predict(rows), made.predict(rows), strict=True):
        assert np.array_equal(ours, theirs)


def test_nothing_is_saved_before_a_fit(tmp_path: Path) -> None:
    with pytest.raises(PredictorError, match="call fit"):
        AccuracyPredictor(KINDS["codes"][0]).save(tmp_path / "none.npz")
    assert not any(tmp_path.iterdir())


FACTS = {"features": {"kind": "codes", "cardinalities": [3] * 5}, "seed": 0, "learners": ["process"]}
ARRAYS = {"rows": KINDS["codes"][1], "scores": np.arange(30.0)}


@pytest.mark.parametrize(
    ("kind", "facts", "arrays", "message"),
    [
        ("latency", {}, {}, "kind: got 'latency'; legal here: 'accuracy'"),
        ("accuracy", {"schema_version": 2}, {}, "schema_version: got 2; this release reads 1"),
        ("accuracy", {"seed": "zero"}, {}, "seed: got 'zero'; legal: int"),
        ("accuracy", {"learners": ["magic"]}, {}, "learners: got"),
        ("accuracy", {"learners": [[]]}, {}, "learners: got"),
        ("accuracy", {"features": {"kind": "soup"}}, {}, "features: got"),
        ("accuracy", {}, {"scores": np.full(30, np.nan)}, "scores: got float64"),
        ("accuracy", {}, {"rows": ARRAYS["rows"] + 0.5}, "rows: got float64; legal: integers"),
        ("accuracy", {}, {"rows": ARRAYS["rows"][0]}, "rows: got"),
        ("accuracy", {}, {"scores": np.arange(29.0)}, "y: expected 30"),
    ],
)
def test_what_cannot_be_understood_is_named(
    kind: str, facts: dict[str, object], arrays: dict[str, np.ndarray], message: str, tmp_path: Path
) -> None:
    write_fitted(tmp_path / "file.npz", kind, {**FACTS, **facts}, {**ARRAYS, **arrays})
    with pytest.raises(PredictorError) as raised:
        AccuracyPredictor.load(tmp_path / "file.npz")
    assert message in str(raised.value)


def test_files_that_are_no_archive_lack_an_array_or_hold_objects_are_refused(tmp_path: Path) -> None:
    for content in (b"", b"PK\x03\x04 torn", json.dumps(FACTS).encode()):
        (tmp_path / "torn.npz").write_bytes(content)
        with pytest.raises(PredictorError, match="cannot be read"):
            AccuracyPredictor.load(tmp_path / "torn.npz")
    with pytest.raises(PredictorError, match="cannot be read"):
        AccuracyPredictor.load(tmp_path / "absent.npz")
    write_fitted(tmp_path / "short.npz", "accuracy", FACTS, {"rows": ARRAYS["rows"]})
    with pytest.raises(PredictorError, match="lacks"):
        AccuracyPredictor.load(tmp_path / "short.npz")
    np.savez(tmp_path / "objects.npz", header=np.array("{}"), rows=np.array([{}], dtype=object), scores=np.zeros(1))
    with pytest.raises(PredictorError, match="cannot be read"):
        read_fitted(tmp_path / "objects.npz", "accuracy", {}, {"rows": 2, "scores": 1})
