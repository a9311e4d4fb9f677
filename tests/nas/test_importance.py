"""`nas importance`: what carries a score that is known, when it is too little to tell, and the smaller space as a job."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from nas.cli import main
from nas.errors import JobError
from nas.importance.correlation import Correlation, correlation
from nas.importance.definition import custom_definition
from nas.importance.shrink import shrink, write_job
from nas.importance.study import Importance
from nas.job_file import load_job
from nas.metric import ACCURACY
from nas.progress import Silent
from nas.run import RunDirectory
from nas.session import Session
from nas.training.supernet import space_of
from predictors.choice_latency import ChoiceLatency
from predictors.importance import ImportanceModel
from predictors.latency import LatencyPrediction
from predictors.marginal import pools
from predictors.subsequences import pair_counts, pair_effects
from predictors.translation import Translation
from search_spaces import get_space, make_space
from tests.nas.conftest import DEFINITION, MIXERS

SPACE = make_space({**DEFINITION, "mixers": MIXERS})
ROWS = SPACE.sample(300, np.random.default_rng(0))
SURE = Correlation(0.9, 0.8, 0.95)


def mixers(rows: np.ndarray, name: str) -> np.ndarray:
    """How many layers of rows (n, G) have this mixer: (n,)."""
    active, count = SPACE.active(rows), np.zeros(len(rows))
    for g, choice in enumerate(SPACE.choices):
        if choice.name.endswith(".mixer"):
            count += active[:, g] & (rows[:, g] == choice.values.index(name))
    return count


def found_for(score: Any, latency: Any, front: np.ndarray = ROWS[:0]) -> Importance:
    """What the study would hold, of scores and latencies that are functions of rows."""
    model = ImportanceModel(SPACE).fit(ROWS, score(ROWS))
    ms = latency(ROWS)
    slow = ChoiceLatency(SPACE, ROWS, LatencyPrediction(ms, ms, ms))  # known without error
    nothing = pd.DataFrame()
    return Importance(SPACE, ACCURACY, len(ROWS), SURE, SURE, model, {"cpu": slow}, front, nothing, nothing)


def test_pools_are_what_the_score_changes_by_on_average_with_what_is_activated() -> None:
    """Against plain averages over the space of the fitted score itself."""
    model = ImportanceModel(SPACE).fit(ROWS, mixers(ROWS, "mhsa") + 0.1 * ROWS.sum(axis=1))
    many = SPACE.sample(60_000, np.random.default_rng(1))
    score, active = model(many), SPACE.active(many)
    found = {(pool.gene, pool.value): pool for pool in pools(SPACE, model.terms, within_stages=True)}
    for name in ("stage1.depth", "stage2.width", "stage3.layer*.mixer"):
        mine = [pool for (gene, _), pool in found.items() if gene == name]
        values, _ = model.sums(np.array([pool.shares for pool in mine]))
        g = SPACE.index[name.replace("*", "1")]
        if "*" in name:  # pooled over three layers: compare the first of each alone
            values = model.sums(np.array([_first_place(model, pool.places[0]) for pool in mine]))[0]
        means = np.array([score[active[:, g] & (many[:, g] == v)].mean() for v in range(len(mine))])
        assert values == pytest.approx(means - means.mean(), abs=0.05)


def _first_place(model: ImportanceModel, term: tuple[int, int]) -> np.ndarray:
    from predictors.marginal import _carried

    carried = _carried(SPACE, model.terms)
    own = np.stack([carried[term[0], int(v)] for v in SPACE.legal[term[0]]])
    return np.asarray(carried[term] - own.mean(axis=0))


def test_sums_are_those_of_the_table() -> None:
    model = ImportanceModel(SPACE).fit(ROWS[:60], mixers(ROWS[:60], "mhsa"))
    table = model.table().set_index(["gene", "value"])
    shares, names = [], []
    for t, (g, v) in enumerate(model.terms):
        same = [i for i, (gene, _) in enumerate(model.terms) if gene == g]
        shares.append(np.eye(len(model.terms))[t] - np.eye(len(model.terms))[same].mean(axis=0))
        names.append((SPACE.choices[g].name, SPACE.choices[g].values[v]))
    value, error = model.sums(np.array(shares))
    assert value == pytest.approx(table.loc[names, "importance"].to_numpy(), abs=1e-9)
    assert error == pytest.approx(table.loc[names, "error"].to_numpy(), abs=1e-7)


def test_a_pair_that_adds_beyond_its_parts_is_found_and_others_are_not() -> None:
    names, counts = pair_counts(SPACE, ROWS)
    assert set(names) == {(a, b) for a in MIXERS for b in MIXERS}
    rng = np.random.default_rng(2)
    planted = counts[:, names.index(("mbconv", "mhsa"))]
    pairs = pair_effects(SPACE, ROWS, planted + 0.3 * rng.normal(size=len(ROWS)))
    best = int(np.argmax(pairs.effect))
    assert pairs.names[best] == ("mbconv", "mhsa")
    assert pairs.effect[best] - 1.645 * pairs.error[best] > 0
    assert correlation(pairs.left_out, planted).tells
    nothing = pair_effects(SPACE, ROWS, rng.normal(size=len(ROWS)))
    assert not correlation(nothing.left_out, rng.normal(size=len(ROWS))).tells
    assert pair_effects(SPACE, ROWS, np.zeros(len(ROWS))).effect.tolist() == [0.0] * 4


def test_noise_is_told_from_a_score() -> None:
    rng = np.random.default_rng(3)
    noise = rng.normal(size=len(ROWS))
    assert not correlation(ImportanceModel(SPACE).fit(ROWS, noise).left_out, noise).tells
    score = mixers(ROWS, "mhsa")
    assert correlation(ImportanceModel(SPACE).fit(ROWS, score).left_out, score).tells


def test_what_is_worse_and_no_faster_goes_what_is_faster_or_on_a_front_stays() -> None:
    def score(rows: np.ndarray) -> np.ndarray:
        return mixers(rows, "mhsa") + 0.01 * rows[:, SPACE.index["stage1.width"]]

    def slower(rows: np.ndarray) -> np.ndarray:
        return (
            5.0 + 0.2 * rows[:, SPACE.index["stage1.width"]] + 0.1 * mixers(rows, "mbconv") - 0.3 * mixers(rows, "mhsa")
        )

    smaller = shrink(found_for(score, slower), "less")
    removed = set(zip(smaller.removed["gene"], smaller.removed["value"], strict=True))
    assert {(f"stage{s}.layer*.mixer", "mbconv") for s in (1, 2, 3)} <= removed
    assert not any(gene.endswith("width") for gene, _ in removed)
    assert smaller.after == smaller.space.size() < smaller.before == SPACE.size()
    assert f"{len(removed)} choices removed" in smaller.text
    sample = smaller.space.sample(20, np.random.default_rng(0))
    assert {s.name for row in sample for s in smaller.space.architecture(row).specs}.isdisjoint({"mbconv"})

    def faster(rows: np.ndarray) -> np.ndarray:
        return 1.0 + mixers(rows, "mhsa")

    with pytest.raises(JobError, match="no choice is surely worse"):
        shrink(found_for(lambda rows: mixers(rows, "mhsa"), faster), "less")
    kept = ROWS[mixers(ROWS, "mbconv") > 3][:1]
    stays = shrink(found_for(score, slower, kept), "less").removed
    on_front = {(stage, "mbconv") for stage in ("stage1.layer*.mixer", "stage2.layer*.mixer", "stage3.layer*.mixer")}
    assert len(on_front & set(zip(stays["gene"], stays["value"], strict=True))) < 3


@pytest.mark.parametrize("name", ["hybrid-vision/tiny", "hybrid-vision/mobile", "hybrid-sequence"])
def test_a_space_written_as_a_definition_has_the_same_networks(name: str) -> None:
    space = get_space(name)
    again = make_space(json.loads(json.dumps(custom_definition(space, "again"))))
    assert again.size() == space.size()
    Translation(again, space)
    Translation(space, again)


def test_a_space_without_stages_is_refused() -> None:
    with pytest.raises(JobError, match="is no space of stages and layers"):
        custom_definition(get_space("nas-bench-201"), "again")


def test_the_command_prints_writes_and_says_how_far_to_trust_it(
    calibrated_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert main(["importance", str(calibrated_run), "--csv", str(tmp_path / "choices.csv"), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    evaluations = pd.read_parquet(calibrated_run / "search" / "new.parquet")
    assert said["evaluations"] == evaluations["hash"].nunique()
    assert len(said["choices"]) == len(pd.read_csv(tmp_path / "choices.csv"))
    for row in said["choices"]:
        assert row["low"] <= row["importance"] <= row["high"]
        assert np.isfinite(row["ms_new"])
    assert said["held_out"]["low"] <= said["held_out"]["spearman"] <= said["held_out"]["high"]
    assert main(["importance", str(calibrated_run)]) == 0
    assert "left out, they are ranked with Spearman" in " ".join(capsys.readouterr().out.split())


def test_the_smaller_space_is_a_job_that_loads_and_measures_nothing_again(calibrated_run: Path, tmp_path: Path) -> None:
    smaller = shrink(found_for(lambda rows: mixers(rows, "mhsa"), lambda rows: 1.0 + mixers(rows, "mbconv")), "less")
    with RunDirectory.open(calibrated_run, read_only=True) as run:
        session = Session(run, Silent())
        write_job(session, smaller, tmp_path / "small.yaml")
        job = load_job(tmp_path / "small.yaml")
        space = space_of(job, session.data)
        assert space.size() == smaller.after
        assert job.devices[0].table == (calibrated_run / "tables" / "new").resolve()
        Translation(space, session.space)
        with pytest.raises(JobError, match=r"legal: the path of a \.yaml file"):
            write_job(session, smaller, tmp_path / "small.txt")


def test_what_cannot_be_told_or_read_ends_with_code_2(
    calibrated_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    unsure = Correlation(0.1, -0.1, 0.3)
    sure = found_for(lambda rows: mixers(rows, "mhsa"), lambda rows: rows[:, 1] * 1.0)
    with pytest.raises(JobError, match=r"--shrink: 300 evaluations; .*too few to tell"):
        shrink(Importance(**{**vars(sure), "held_out": unsure}), "less")
    assert main(["importance", str(tmp_path / "none")]) == 2
    assert main(["importance", str(calibrated_run), "--shrink", str(tmp_path / "small.txt")]) == 2
    assert "legal: the path of a .yaml file" in " ".join(capsys.readouterr().err.split())
