"""Latencies of choices have intervals, in the table, the file and the JSON; a choice that may be faster is not shrunk away."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from nas.cli import main
from nas.errors import JobError
from nas.importance.correlation import DRAWS, Correlation, correlation
from nas.importance.shrink import shrink
from nas.importance.study import Importance
from nas.metric import ACCURACY
from nas.report.words import ms_change
from predictors.choice_latency import ChoiceLatency
from predictors.importance import ImportanceModel
from predictors.latency import LatencyPrediction
from search_spaces import make_space
from tests.nas.conftest import DEFINITION, MIXERS

SPACE = make_space({**DEFINITION, "mixers": MIXERS})
ROWS = SPACE.sample(300, np.random.default_rng(0))
SURE = Correlation(0.9, 0.8, 0.95)


def mixers(name: str) -> np.ndarray:
    """(n,) how many layers of `ROWS` have this mixer."""
    active = SPACE.active(ROWS)
    at = [(g, c.values.index(name)) for g, c in enumerate(SPACE.choices) if c.name.endswith(".mixer")]
    return np.sum([active[:, g] & (ROWS[:, g] == v) for g, v in at], axis=0).astype(float)


def found_for(ms: np.ndarray, off: float) -> Importance:
    """A study of a score that mhsa carries, on a device with these latencies, which may be off by a share ``off`` (90 %)."""
    latency = ChoiceLatency(SPACE, ROWS, LatencyPrediction(ms, ms * (1 - off), ms * (1 + off)))
    score = ImportanceModel(SPACE).fit(ROWS, mixers("mhsa"))
    nothing = pd.DataFrame()
    return Importance(SPACE, ACCURACY, 300, SURE, SURE, score, {"cpu": latency}, ROWS[:0], nothing, nothing)


def removed(found: Importance) -> set[tuple[str, str]]:
    table = shrink(found, "less").removed
    assert (table["chance"] < 0.05).all()
    return {(gene, value) for gene, value in zip(table["gene"], table["value"], strict=True) if "layer*.mixer" in gene}


def test_a_worse_choice_goes_only_where_it_is_surely_no_faster() -> None:
    slower = 3.0 + 0.1 * mixers("mbconv")
    worse = {(f"stage{s}.layer*.mixer", "mbconv") for s in (1, 2, 3)}
    assert removed(found_for(slower, 0.01)) >= worse  # told apart: 3 % of a network's latency each
    for ms, off in ((slower, 0.5), (3.0 + 1e-4 * ROWS[:, 1], 0.05)):  # not told apart; and nothing to tell
        with pytest.raises(
            JobError, match="surely no faster; legal: a run with more evaluations, or with latency tables of"
        ):
            shrink(found_for(ms, off), "less")
    with pytest.raises(JobError, match="surely no faster"):  # surely faster, however exact the latencies
        shrink(found_for(3.0 + 0.1 * mixers("mhsa"), 0.0), "less")


def test_chances_of_being_faster_add_up_over_devices() -> None:
    found = found_for(3.0 + 0.1 * mixers("mbconv"), 0.03)
    alone = shrink(found, "less").removed.set_index(["gene", "value"])["chance"]
    both = {"cpu": found.latency["cpu"], "other": found.latency["cpu"]}
    pair = shrink(Importance(**{**vars(found), "latency": both}), "less").removed.set_index(["gene", "value"])["chance"]
    assert set(pair.index) <= set(alone.index)
    assert (pair >= alone[pair.index]).all()
    faster = found_for(3.0 + 0.1 * mixers("mhsa"), 0.03).latency["cpu"]
    with pytest.raises(JobError, match="surely no faster"):
        shrink(Importance(**{**vars(found), "latency": {"cpu": found.latency["cpu"], "other": faster}}), "less")


def test_a_table_that_does_not_know_its_error_is_named() -> None:
    with pytest.raises(JobError, match="--shrink: the latency table of 'cpu' has no whole networks"):
        shrink(found_for(3.0 + mixers("mbconv"), math.nan), "less")


def test_the_interval_is_in_the_file_the_json_and_the_table(
    calibrated_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert main(["importance", str(calibrated_run), "--csv", str(tmp_path / "choices.csv"), "--json"]) == 0
    said = pd.DataFrame(json.loads(capsys.readouterr().out)["choices"])
    assert (said["low_ms_new"] < said["ms_new"]).all()
    assert (said["ms_new"] < said["high_ms_new"]).all()
    middle = (said["low_ms_new"] + said["high_ms_new"]) / 2
    assert middle.to_numpy() == pytest.approx(said["ms_new"].to_numpy())
    file = pd.read_csv(tmp_path / "choices.csv")
    for column in ("ms_new", "low_ms_new", "high_ms_new"):
        assert file[column].to_numpy() == pytest.approx(said[column].to_numpy(), rel=1e-4)
    assert main(["importance", str(calibrated_run)]) == 0
    shown = capsys.readouterr().out
    assert "new, ms" in shown
    assert shown.count("\u00a0±") >= 2 * min(len(said), 24)  # of the gain and of the latency


def test_changes_read_with_as_many_digits_as_they_are_known_by() -> None:
    assert ms_change(0.1234, 0.1034, 0.1434) == "+0.123\u00a0±0.020"
    assert ms_change(-12.34, -14.74, -9.94) == "-12.3\u00a0±2.4"
    assert ms_change(1234.5, 1000.0, 1469.0) == "+1234\u00a0±234"
    assert ms_change(0.5, math.nan, math.nan) == ms_change(0.5, 0.5, 0.5) == "+0.5"


def test_the_bootstrap_is_that_of_drawn_pairs_one_by_one() -> None:
    rng = np.random.default_rng(1)
    truth = rng.normal(size=40).round(1)  # with ties
    guess = (truth + rng.normal(size=40)).round(1)
    found = correlation(guess, truth)
    draws = np.random.default_rng(0).integers(40, size=(DRAWS, 40))
    one_by_one = [spearmanr(guess[draw], truth[draw])[0] for draw in draws]
    assert found.spearman == pytest.approx(spearmanr(guess, truth)[0], abs=1e-12)
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(one_by_one, [0.025, 0.975])), abs=1e-12)
    nothing = correlation(np.ones(40), truth)
    assert (nothing.spearman, nothing.low, nothing.high, nothing.tells) == (0.0, 0.0, 0.0, False)
