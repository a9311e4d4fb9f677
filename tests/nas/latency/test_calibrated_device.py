"""A job whose device has a calibration instead of a table: searched, reported, exported, planned, and refused where it must."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from hardware.device import Device
from nas.cli import main
from nas.errors import JobError
from nas.job_file import parse_job
from nas.latency.calibration import HEADER, KNOWN, MEASUREMENTS, Calibration
from nas.latency.source import CalibrationSource, TableSource, not_of_here, open_source
from nas.pipeline import check_job, profile_step
from nas.plan import estimate
from nas.progress import Silent
from nas.run import RunDirectory
from nas.session import Session
from predictors import PredictorError
from predictors.translation import Translation
from search_spaces import Architecture, make_space
from tests.nas.conftest import CALIBRATED, DEFINITION, MIXERS, job_for, known_table, make_calibration

SPACE = make_space({**DEFINITION, "mixers": MIXERS})
ROWS = SPACE.sample(50, np.random.default_rng(5))


def test_the_search_is_by_the_calibrated_predictor_and_its_interval_is_on_the_front(
    calibrated_run: Path, calibration: Path
) -> None:
    front = pd.read_parquet(calibrated_run / "front-new.parquet")
    predictor = Calibration.load(calibration).predictor()
    for member in front.itertuples():
        found = predictor.predict_one(Architecture.from_json(json.loads(str(member.genes))))
        ends = (member.latency_ms, member.latency_low_ms, member.latency_high_ms)
        assert ends == pytest.approx((found.mean_ms, found.low_ms, found.high_ms), rel=1e-9)
        assert found.low_ms < found.mean_ms < found.high_ms


def test_the_run_holds_the_whole_calibration_and_answers_for_it(
    calibrated_run: Path, calibration: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = calibrated_run / "tables" / "new"
    names = (HEADER, MEASUREMENTS, *(f"{KNOWN}/{name}/header.json" for name in ("fast", "slow")))
    assert all((kept / name).read_bytes() == (calibration / name).read_bytes() for name in names)
    asked = tmp_path / "asked.json"
    asked.write_text(json.dumps(SPACE.architecture(ROWS[0]).to_json()))
    assert main(["latency", str(asked), "--table", str(calibrated_run), "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    (known,) = Calibration.load(calibration).predictor().predict(CALIBRATED.matrix([_there(ROWS[0])])).mean_ms
    assert (row["device"], row["latency_ms"]) == ("new", pytest.approx(known))


def _there(row: np.ndarray) -> Architecture:
    return Architecture.from_json({"genes": SPACE.architecture(row).values}, CALIBRATED)


def test_report_and_package_say_how_far_to_trust_it(calibrated_run: Path, calibration: Path) -> None:
    left_out = Calibration.load(calibration).header.left_out
    assert left_out is not None
    page = (calibrated_run / "report.html").read_text()
    assert "The 10 networks of the calibration, each left out of a fit to the others" in page
    assert "(10 networks left out in turn)" in page
    manifest = json.loads((calibrated_run / "manifest.json").read_text())
    assert manifest["steps"]["profile:new"]["validation"] == left_out
    (package,) = (calibrated_run / "export" / "new").glob("*/manifest.json")
    latency = json.loads(package.read_text())["latency"]
    assert latency["predicted_low_ms"] < latency["predicted_ms"] < latency["predicted_high_ms"]


def test_held_out_networks_are_those_measured_to_judge_and_otherwise_each_left_out(
    calibration: Path, tmp_path: Path
) -> None:
    alone = open_source(calibration)
    assert len(alone.held_out(SPACE)) == 10
    judged = CalibrationSource(make_calibration(tmp_path / "judged", validate=4))
    frame = judged.held_out(SPACE)
    assert len(frame) == 4
    missed = (frame["predicted_ms"] / frame["measured_ms"] - 1).abs().mean()
    assert judged.header["validation"]["mape"] == pytest.approx(missed)
    assert "4 networks never seen" in judged.text()
    assert "10 networks each left out in turn" in alone.text()


def test_its_ms_are_those_of_single_predictions_whatever_the_space_of_the_question(calibration: Path) -> None:
    read = Calibration.load(calibration)
    source, single = CalibrationSource(read), read.predictor()
    asked = source.predictor(SPACE)
    found = [single.predict_one(SPACE.architecture(row)).mean_ms for row in ROWS[:5]]
    assert asked.ms(ROWS)[:5] == pytest.approx(found, rel=1e-9)
    assert np.array_equal(asked.ms(ROWS), asked.predict(ROWS).mean_ms)
    assert len(asked.ms(ROWS[:0])) == 0


def test_rows_of_a_part_of_a_space_are_the_same_networks_in_the_whole() -> None:
    translated = Translation(SPACE, CALIBRATED)(ROWS)
    for row, there in zip(ROWS, translated, strict=True):
        assert SPACE.architecture(row) == CALIBRATED.architecture(there)
    with pytest.raises(PredictorError, match=r"has stage1\.layer1\.mixer = identity"):
        Translation(CALIBRATED, SPACE)
    with pytest.raises(PredictorError, match="with other sizes"):
        Translation(SPACE, make_space({**CALIBRATED.definition, "classes": 3}))


def test_the_plan_says_what_the_calibration_is_worth(
    calibration: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "job.yaml").write_text(yaml.safe_dump(job_for(calibration)))
    assert main(["run", str(tmp_path / "job.yaml"), "--dry-run", "--out", str(tmp_path / "run")]) == 0
    said = "".join(capsys.readouterr().out.split())
    assert "givencalibration" in said
    what, seconds = estimate(parse_job(job_for(calibration)))["profile new"]
    assert "latency is of another machine than this (device: new -> " in what
    assert seconds == 0
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("runtime", "onnxruntime", "one for runtime onnxruntime, not torch"),
        ("precision", "bf16", "one for precision bf16, not fp32"),
        ("threads", 2, "one for threads 2, not 1"),
        ("batch", 4, "one for batch 4, not 1"),
    ],
)
def test_other_conditions_are_refused(calibration: Path, key: str, value: object, said: str) -> None:
    job = job_for(calibration)
    job["devices"][0][key] = value
    with pytest.raises(JobError, match=said):
        parse_job(job)


def changed(calibration: Path, folder: Path, **header: object) -> None:
    """A copy with another header."""
    shutil.copytree(calibration, folder)
    facts = json.loads((folder / HEADER).read_text())
    (folder / HEADER).write_text(json.dumps({**facts, **header}))


def test_what_is_unfinished_broken_or_of_another_space_is_refused_before_any_work(
    calibration: Path, tmp_path: Path
) -> None:
    changed(calibration, tmp_path / "begun", left_out=None)
    with pytest.raises(JobError, match=r"devices\[0\].table: .*is not finished: 10 of 10"):
        parse_job(job_for(tmp_path / "begun"))
    changed(calibration, tmp_path / "broken", runtime=None)
    with pytest.raises(JobError, match=r"devices\[0\].table: .*a finished calibration"):
        parse_job(job_for(tmp_path / "broken"))
    other = job_for(calibration)
    other["space"] = {"resolutions": [16], "mixers": MIXERS}
    with pytest.raises(JobError, match=r"was made for .*resolution"):
        check_job(parse_job(other))
    changed(calibration, tmp_path / "picky", refused={"mhsa": "no softmax here"})
    with pytest.raises(JobError, match=r"cannot run operator 'mhsa' of .*no softmax here; legal: a space without it"):
        check_job(parse_job(job_for(tmp_path / "picky")))
    far = job_for(calibration)
    far["devices"][0]["max_latency_ms"] = 1e-6
    with pytest.raises(JobError, match="max_latency_ms"):
        check_job(parse_job(far))


def test_a_table_of_a_larger_space_is_judged_on_its_own_networks() -> None:
    table = known_table(CALIBRATED, 1e8, 1)
    judged = table.networks.assign(role="validate")
    source = TableSource(type(table)(table.header, table.operators, judged))
    frame = source.held_out(SPACE)
    assert len(frame) == 15
    assert (frame["predicted_ms"] * 1.05).to_numpy() == pytest.approx(frame["measured_ms"].to_numpy(), rel=1e-6)


def test_a_session_reads_the_copy_of_the_run(calibrated_run: Path) -> None:
    with RunDirectory.open(calibrated_run, read_only=True) as run:
        session = Session(run, Silent())
        (device,) = session.job.devices
        assert session.source(device).header["calibrated_from"] == ["fast", "slow"]
        assert session.predictor(device).ms(ROWS[:2]).shape == (2,)


def test_a_table_of_another_machine_is_told_and_one_of_this_is_not(
    calibrated_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(Silent, "say", lambda _, text: said.append(text))
    with RunDirectory.open(calibrated_run, read_only=True) as run:
        profile_step(Session(run, Silent()))
        assert not_of_here(Session(run, Silent()).source(run.job.devices[0]).header, "torch") in said[-1]
    assert not_of_here({"device": Device.local().to_json()}, "torch") is None
    here = Device.local()
    assert here.description["instructions"] is not None
    other = replace(here, description={**here.description, "instructions": ["amx_tile", "neon"]})
    assert "instructions: amx_tile, neon -> " in str(not_of_here({"device": other.to_json()}, "torch"))
    silent = replace(here, description={**here.description, "instructions": None})
    assert not_of_here({"device": silent.to_json()}, "torch") is None
