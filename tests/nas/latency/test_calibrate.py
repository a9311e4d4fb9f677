"""A device without a table, from a few real measurements: the command, its folder, and everything that may be wrong."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from hardware import MeasureSettings
from hardware.device import Device
from hardware.errors import HardwareError
from hardware.hosts import Host
from hardware.measurement import Measurement
from hardware.runtimes import Runtime
from hardware.runtimes.torch_eager import TorchRuntime
from hardware.table import LatencyTable
from nas.cli import main
from nas.errors import JobError
from nas.latency.calibrate import CalibrationRequest, calibrate
from nas.latency.calibration import HEADER, MEASUREMENTS, Calibration
from nas.latency.known import given_tables
from nas.latency.query import latency_rows
from nas.progress import Silent
from predictors.features import work
from search_spaces import Architecture, make_space
from search_spaces.operators import get_operator

DEFINITION = {"name": "hybrid-vision", "preset": "tiny", "resolutions": [8], "in_channels": 1}
SPACE = make_space({**DEFINITION, "mixers": ["mbconv", "mhsa"]})
ROWS = SPACE.sample(40, np.random.default_rng(3))


def known_table(space: object, speed: float, seed: int, **header: object) -> LatencyTable:
    """Of a device of our own making: operators take a call and their work; networks what their operators take, and 5 %."""
    rng = np.random.default_rng(seed)
    of_name = {name: float(rng.uniform(0.5, 2.0)) for name in sorted({spec.name for spec in space.specs()})}  # type: ignore[attr-defined]
    ms = {s: 0.02 + of_name[s.name] * work(s)[0] / speed + work(s)[1] / speed for s in space.specs()}  # type: ignore[attr-defined]

    def measured(key: str, value: float) -> Measurement:
        return Measurement.from_rounds(key, [value / 1e3 * np.exp(0.01 * rng.normal(size=5))])

    runtime = {"runtime": "torch", "precision": "fp32", "threads": 1, "versions": {"torch": "2"}}
    table = LatencyTable.create(device=Device("known", "cpu"), runtime=runtime, batch=1, space=space.definition)  # type: ignore[attr-defined]
    some = [spec for i, spec in enumerate(ms) if i % 3 == 0 or spec.name not in ("mbconv", "mhsa")]
    table = table.with_operators(measured(spec.canonical, ms[spec]) for spec in some)
    networks = [space.architecture(row) for row in space.sample(15, np.random.default_rng(1))]  # type: ignore[attr-defined]
    lines = {json.dumps(network.to_json()): 1.05 * sum(ms[spec] for spec in network.specs) for network in networks}
    return table.with_networks((measured(*line) for line in lines.items()), "fit").with_header(**header)


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """``--table`` options of two known devices."""
    folder = tmp_path_factory.mktemp("known")
    for name, speed in (("fast", 1e8), ("slow", 2e7)):
        known_table(SPACE, speed, len(name) + int(speed)).save(folder / name)
    return ["--table", str(folder / "fast"), "--table", str(folder / "slow")]


@pytest.fixture(scope="module")
def query(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("query") / "architectures.json"
    path.write_text(json.dumps([SPACE.architecture(row).to_json() for row in ROWS[:3]]))
    return path


@pytest.fixture(scope="module")
def finished(known: list[str], query: Path, tmp_path_factory: pytest.TempPathFactory, brief: None) -> Path:
    """A real calibration of this machine with torch, by the command; to be read only."""
    out = tmp_path_factory.mktemp("calibrations") / "here"
    words = [
        "latency",
        str(query),
        *known,
        "--calibrate",
        "4",
        "--validate",
        "2",
        "--runtime",
        "torch",
        "--out",
        str(out),
    ]
    assert main(words) == 0
    return out


def request_of(known: list[str], out: Path, count: int = 6, validate: int = 0) -> CalibrationRequest:
    space, tables = given_tables({Path(path).name: LatencyTable.load(path) for path in known[1::2]})
    return CalibrationRequest(space, tables, out, "torch", count=count, validate=validate)


def test_it_measures_fits_judges_and_never_measures_again(
    finished: Path, query: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {name: (finished / name).read_bytes() for name in (HEADER, MEASUREMENTS)}
    words = ["latency", str(query), "--calibrate", "4", "--runtime", "torch", "--out", str(finished), "--json"]
    assert main(words) == 0
    said = json.loads(capsys.readouterr().out)
    assert {name: (finished / name).read_bytes() for name in before} == before
    assert said["calibration"]["left_out"]["networks"] == 4
    assert said["calibration"]["validation"]["networks"] == 2
    assert main(["latency", str(query), "--table", str(finished), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert rows == said["rows"]
    assert [row["hash"] for row in rows] == [SPACE.architecture(row).hash for row in ROWS[:3]]
    assert all(0 < row["low_ms"] < row["latency_ms"] < row["high_ms"] for row in rows)
    assert rows[0]["table_mape"] == said["calibration"]["validation"]["mape"]
    read = Calibration.load(finished)
    assert read.predictor().judge(*read.of("validate")) == said["calibration"]["validation"]
    hashes = [one.architecture.hash for one in read.measured]
    assert len(set(hashes)) == 6
    assert [len(read.of(role)[0]) for role in ("fit", "validate")] == [4, 2]
    assert all(session["noise_floor"] >= 0 for session in read.header.sessions)


def test_a_folder_that_is_moved_gives_the_same_predictions_to_the_last_bit(finished: Path, tmp_path: Path) -> None:
    shutil.copytree(finished, tmp_path / "moved" / "here")
    here, there = (Calibration.load(path).predictor().predict(ROWS) for path in (finished, tmp_path / "moved" / "here"))
    for name in ("mean_ms", "low_ms", "high_ms"):
        assert np.array_equal(getattr(here, name), getattr(there, name))


class Dying(Host):
    """This machine, killed when its second session of timing begins."""

    def __init__(self) -> None:
        self._asked = 0

    def conditions(self, threads: int) -> dict[str, object]:
        self._asked += 1
        if self._asked > 2:  # before and after the first one
            raise KeyboardInterrupt
        return super().conditions(threads)


def test_a_killed_calibration_keeps_what_was_measured_and_goes_on(known: list[str], tmp_path: Path) -> None:
    out, quick = tmp_path / "killed", MeasureSettings.quick()
    with pytest.raises(KeyboardInterrupt):
        calibrate(request_of(known, out), Dying(), Silent(), quick)
    kept = (out / MEASUREMENTS).read_bytes()
    assert kept.count(b"\n") == 1 + 5  # a header and a session
    with pytest.raises(JobError, match="is not finished: 5 of 6 networks are measured"):
        latency_rows([SPACE.architecture(ROWS[0])], [out])
    (out / MEASUREMENTS).write_bytes(kept + b'fit,0123456789abcdef,"{""resol')  # a line that the kill tore
    done = calibrate(request_of(known, out), Host(), Silent(), quick)
    assert (out / MEASUREMENTS).read_bytes().startswith(kept)
    assert len(done.of("fit")[0]) == 6
    assert [session["networks"] for session in done.header.sessions] == [5, 1]
    more = calibrate(request_of(known, out, 8, 2), Host(), Silent(), quick)
    assert (out / MEASUREMENTS).read_bytes().startswith(kept)
    assert [len(more.of(role)[0]) for role in ("fit", "validate")] == [8, 2]
    assert more.header.left_out is not None
    assert more.header.left_out["networks"] == 8


class Picky(TorchRuntime):
    """torch that cannot run attention."""

    def prepare(self, module: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> object:  # type: ignore[override]
        if any(isinstance(part, get_operator("mhsa")) for part in module.modules()):
            raise HardwareError("no softmax here")
        return super().prepare(module, inputs)


class PickyHost(Host):
    """This machine with that runtime."""

    def runtime(self, name: str, precision: str = "fp32", threads: int = 1) -> Runtime:
        return Picky(precision, threads)


def test_what_the_runtime_refuses_is_left_out_with_all_that_has_the_same_operator(
    known: list[str], tmp_path: Path, query: Path
) -> None:
    done = calibrate(request_of(known, tmp_path / "picky", 5), PickyHost(), Silent(), MeasureSettings.quick())
    assert done.header.refused == {"mhsa": "no softmax here"}
    assert len(done.measured) == 5
    assert all(spec.name != "mhsa" for one in done.measured for spec in one.architecture.specs)
    several = [Architecture.from_json(data) for data in json.loads(query.read_text())]
    asked = [one for one in several if any(spec.name == "mhsa" for spec in one.specs)]
    with pytest.raises(JobError, match=r"torch cannot run operator 'mhsa' of .*: no softmax here"):
        latency_rows(asked, [tmp_path / "picky"])


def test_dry_run_says_what_would_be_measured_and_writes_nothing(
    known: list[str], finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["latency", *known, "--calibrate", "4", "--runtime", "torch", "--dry-run"]
    assert main([*words, "--out", str(tmp_path / "planned")]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "known: fast, slow" in said
    assert "would measure 4 of" in said
    assert not (tmp_path / "planned").exists()
    assert main([*words, "--out", str(finished)]) == 0
    assert "nothing would be measured" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--calibrate", "2"], "--calibrate: got 2; legal: 3 to 100 networks"),
        (["--calibrate", "101"], "--calibrate: got 101; legal: 3 to 100 networks"),
        (["--calibrate", "5", "--validate", "-1"], "--validate: got -1; legal: 0 to 400"),
        (["--calibrate", "5", "--device", "new"], "device: got 'new'; legal: local"),
        (["--calibrate", "5", "--runtime", "trch"], "trch"),
        (["--calibrate", "5", "--precision", "int8"], "precision must be one of fp32, bf16, got 'int8'"),
        (["--runtime", "torch"], "--runtime: belongs to --calibrate"),
        ([], "ARCHITECTURES: is missing"),
    ],
)
def test_wrong_options_end_with_code_2_before_anything_is_written(
    words: list[str], message: str, known: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = ["--out", str(tmp_path / "out")] if "--calibrate" in words else []
    runtime = ["--runtime", "torch"] if "--calibrate" in words and "--runtime" not in words else []
    assert main(["latency", *known, *words, *runtime, *out]) == 2
    assert message in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_something_else_or_was_made_otherwise_is_refused(
    known: list[str], finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(message: str, *words: str, code: int = 2) -> None:
        assert main(["latency", *words]) == code
        assert message in " ".join(capsys.readouterr().err.split())

    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("all of it")
    torch_here = ["--calibrate", "4", "--runtime", "torch", "--out"]
    refused("exists and is no calibration", *known, *torch_here, str(tmp_path / "mine"))
    refused("has threads 1, not 2", *known, *torch_here, str(finished), "--threads", "2")
    refused("began with fast, slow", *known[:2], *torch_here, str(finished))
    refused("is a calibration; legal: measured tables", "--table", str(finished), *torch_here, str(tmp_path / "other"))
    other = tmp_path / "other-space"
    known_table(make_space({**DEFINITION, "resolutions": [16], "mixers": ["mbconv"]}), 1e8, 0).save(other)
    refused("legal: one space", *known, "--table", str(other), *torch_here, str(tmp_path / "out"))
    decoding = tmp_path / "decoding"
    known_table(SPACE, 1e8, 0, mode="decode").save(decoding)
    refused("was measured with mode decode, fast with forward", *known, "--table", str(decoding), *torch_here, "x")
    elsewhere = tmp_path / "elsewhere.json"
    space = make_space({**DEFINITION, "resolutions": [16]})
    elsewhere.write_text(json.dumps(space.architecture(space.sample(1, np.random.default_rng(0))[0]).to_json()))
    refused("is none of", str(elsewhere), "--table", str(finished))


def test_tables_with_different_mixers_share_the_space_that_all_know(known: list[str]) -> None:
    tables = {
        "both": LatencyTable.load(known[1]),
        "one": known_table(make_space({**SPACE.definition, "mixers": ["mbconv"]}), 1e8, 0),
    }
    space, _ = given_tables(tables)
    assert {spec.name for spec in space.specs()} >= {"mbconv"}
    assert "mhsa" not in {spec.name for spec in space.specs()}


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        (HEADER, '"schema_version": 1', '"schema_version": 2', "schema_version: got 2"),
        (HEADER, '"runtime": ', '"runtimes": ', "runtime"),
        (HEADER, "{", "", "cannot be read"),
        (HEADER, '"name": "fast"', '"name": "../fast"', "known.0.name"),
        (MEASUREMENTS, "fit,", "fitted,", "line 2: got 'fitted'"),
        (MEASUREMENTS, '""resolution"":8', '""resolution"":9', "line 2: is no measurement of the space"),
        ("known/fast/header.json", '"seconds": 0.0', '"seconds": 1.0', "was changed since the calibration began"),
    ],
)
def test_files_that_were_changed_are_named(
    file: str, old: str, new: str, message: str, finished: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "here"
    shutil.copytree(finished, folder)
    text = (folder / file).read_text()
    assert old in text
    (folder / file).write_text(text.replace(old, new, 1))
    with pytest.raises(JobError) as raised:
        Calibration.load(folder)
    assert message in str(raised.value)
    assert Path(file).name in str(raised.value) or "fast" in str(raised.value)
