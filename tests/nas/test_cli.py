"""One small real run through the command line, and everything that people then ask of it."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from hardware.runtimes.executorch import ExecuTorchRuntime
from nas.bench.resume import fingerprints
from nas.cli import main
from search_spaces import Architecture, get_space, make_space
from tests.conftest import SMALL_JOB, Once

JOB = SMALL_JOB | {
    "train": {**SMALL_JOB["train"], "checkpoint_steps": 2},
    "profile": {"operators": 15, "fit_networks": 20, "validate_networks": 30},
    "search": {**SMALL_JOB["search"], "controls": ["random", "no-ssm"]},
    "report": {"members": 2},
    "export": {"members": 1},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cli")


def _finished(folder: Path) -> None:
    """The job and its run, as where ExecuTorch is not installed: its program takes longer than all the rest, and has tests of
    its own."""
    (folder / "job.yaml").write_text(yaml.safe_dump(JOB))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ExecuTorchRuntime, "availability", lambda self: (False, "not here"))
        assert main(["run", str(folder / "job.yaml"), "--out", str(folder / "run")]) == 0


@pytest.fixture(scope="module")
def run(folder: Path, once: Once, brief: None) -> Path:
    """A finished run of this module's own, beside its ``job.yaml``; later tests read it."""
    shutil.copytree(once("cli-run", _finished), folder, dirs_exist_ok=True)
    return folder / "run"


@pytest.fixture(scope="module")
def tabled(once: Once, brief: None) -> tuple[Path, Path]:
    """The same job with the measured table given, so that no clock enters, and nothing to convert; and its undisturbed run."""
    table = once("cli-run", _finished) / "run" / "tables" / "cpu"

    def undisturbed(folder: Path) -> None:
        job = JOB | {"devices": [{**JOB["devices"][0], "table": str(table)}], "report": {"members": 1}}
        job |= {"search": {**JOB["search"], "controls": ["random"]}, "export": {"members": 0, "formats": []}}
        (folder / "tabled.yaml").write_text(yaml.safe_dump(job))
        assert main(["run", str(folder / "tabled.yaml"), "--out", str(folder / "undisturbed")]) == 0

    made = once("cli-tabled", undisturbed)
    return made / "tabled.yaml", made / "undisturbed"


def test_run_leaves_front_report_table_and_package(run: Path) -> None:
    front = pd.read_csv(run / "front-cpu.csv", dtype={"hash": str})
    assert (front["latency_ms"].diff().dropna() > 0).all()
    assert (front["accuracy"].diff().dropna() > 0).all()
    assert front["knee"].sum() == 1
    assert ((front["latency_low_ms"] < front["latency_ms"]) & (front["latency_ms"] < front["latency_high_ms"])).all()
    assert front["test_accuracy"].notna().sum() == min(2, len(front))
    html = (run / "report.html").read_text()
    assert all(name in html for name in front["hash"])
    header = json.loads((run / "tables" / "cpu" / "header.json").read_text())
    assert header["validation"]["networks"] == 30
    packages = list((run / "export" / "cpu").iterdir())
    assert len(packages) == 1
    manifest = json.loads((packages[0] / "manifest.json").read_text())
    assert manifest["parity"]["model.onnx"]["max_relative"] <= 1e-4
    assert manifest["latency"]["measured"]["median_ms"] > 0
    assert manifest["architecture"] in set(front["hash"])


def test_a_finished_run_is_done_again_at_once(run: Path, folder: Path) -> None:
    before = (run / "front-cpu.csv").read_bytes()
    weights = (run / "train" / "supernet.safetensors").stat().st_mtime_ns
    assert main(["run", str(folder / "job.yaml"), "--out", str(run)]) == 0
    assert (run / "front-cpu.csv").read_bytes() == before
    assert (run / "train" / "supernet.safetensors").stat().st_mtime_ns == weights


def test_a_run_that_is_killed_twice_ends_with_the_same_bytes(tabled: tuple[Path, Path], folder: Path) -> None:
    job, undisturbed = tabled
    out = folder / "killed"
    command = [sys.executable, "-m", "nas.cli", "run", str(job), "--out", str(out)]
    for sign in ("train/checkpoint.safetensors", "search/evaluations.csv"):
        process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        while not (out / sign).exists():
            assert process.poll() is None
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        assert not (out / "report.html").exists()
    assert main(command[3:]) == 0
    assert fingerprints(out) == fingerprints(undisturbed)
    assert len(fingerprints(out)) >= 6


def test_front_and_latency_answer_in_json(run: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["front", str(run), "--json"]) == 0
    front = json.loads(capsys.readouterr().out)["cpu"]
    query = folder / "architectures.json"
    query.write_text(json.dumps([json.loads(member["genes"]) for member in front]))
    assert main(["latency", str(query), "--table", str(run), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["hash"] for row in rows] == [member["hash"] for member in front]
    for row, member in zip(rows, front, strict=True):
        assert row["latency_ms"] == pytest.approx(member["latency_ms"], rel=1e-9)
        assert row["low_ms"] < row["latency_ms"] < row["high_ms"]
    assert main(["front", str(run)]) == 0
    assert front[0]["hash"] in capsys.readouterr().out


def test_any_member_can_be_exported_by_hash(
    tabled: tuple[Path, Path], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tabled[1]
    member = pd.read_csv(run / "front-cpu.csv", dtype={"hash": str})["hash"].iloc[0]
    assert main(["export", str(run), "--hash", member[:10], "--out", str(folder / "package")]) == 0
    stored = json.loads((folder / "package" / "architecture.json").read_text())
    assert Architecture.from_json(stored).hash == member
    capsys.readouterr()
    assert main(["export", str(run), "--hash", "zz", "--out", str(folder / "none")]) == 2
    assert member in capsys.readouterr().err
    assert not (folder / "none").exists()


def test_dry_run_prints_the_plan_and_writes_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "plan.yaml").write_text(yaml.safe_dump(JOB))
    assert main(["run", str(folder / "plan.yaml"), "--out", str(folder / "planned"), "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert "in all" in out
    assert "train" in out
    assert not (folder / "planned").exists()


def test_another_job_in_the_same_directory_is_refused(
    run: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "other.yaml").write_text(yaml.safe_dump({**JOB, "seed": 5}))
    assert main(["run", str(folder / "other.yaml"), "--out", str(run)]) == 2
    assert "seed" in capsys.readouterr().err


def test_impossible_limit_is_refused_before_training(
    tabled: tuple[Path, Path], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    job = yaml.safe_load(tabled[0].read_text())
    job["devices"][0]["max_latency_ms"] = 0.0001
    (folder / "impossible.yaml").write_text(yaml.safe_dump(job))
    assert main(["run", str(folder / "impossible.yaml"), "--out", str(folder / "impossible")]) == 2
    assert "max_latency_ms: the smallest architecture found takes" in capsys.readouterr().err
    assert not (folder / "impossible").exists()


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["run", "quickstar"], "quickstart"),
        (["latency", "missing.json", "--table", "x"], "missing.json"),
        (["front", "no-such-run"], "no-such-run"),
        (["profile", "--space", "hybrid-visio", "--runtime", "torch", "--out", "t"], "hybrid-vision/tiny"),
        (["profile", "--space", "hybrid-vision", "--runtime", "trch", "--out", "t"], "torch"),
        (["bench", "slices", "--count", "1", "--onnx", "2"], "--onnx"),
        (["run"], "JOB"),
        (["latency", "x.json"], "--table"),
    ],
)
def test_mistakes_end_with_code_2_and_the_legal_values(
    arguments: list[str], named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert named in captured.err + captured.out
    assert "Traceback" not in captured.err


def test_table_of_another_space_is_refused(run: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    space = get_space("hybrid-vision/mobile")
    query = folder / "mobile.json"
    query.write_text(json.dumps(space.architecture(space.sample(1, np.random.default_rng(0))[0]).to_json()))
    assert main(["latency", str(query), "--table", str(run)]) == 2
    assert "hybrid-vision/tiny" in capsys.readouterr().err


def test_lists_and_doctor(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    for command in ("spaces", "devices"):
        assert main([command, "--json"]) == 0
        assert json.loads(capsys.readouterr().out)
    assert main(["devices"]) == 0
    capsys.readouterr()
    # it runs an operator in every runtime: two will do, each has tests of its own
    monkeypatch.setattr("nas.latency.devices.runtime_names", lambda: ("onnxruntime", "torch"))
    assert main(["doctor"]) == 0
    said = capsys.readouterr().out
    assert said.count("differs from PyTorch by") == 2
    assert "BROKEN" not in said


def test_bench_slices_finds_no_difference(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "slices", "--count", "4", "--onnx", "1", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["count"], result["onnx_count"], result["failures"]) == (4, 1, [])
    assert result["max_relative_error"] <= 1e-6
    assert result["onnx_max_error"] <= 1e-4


def test_bench_mutations_are_all_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "mutations", "--count", "12", "--seed", "3", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["refused"] == result["count"] == 12


def test_wrong_slices_would_be_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The slice bench can fail: an extraction that changes one weight by one per cent is reported."""
    from nas.bench.slices import bench_slices
    from nas.progress import Silent
    from search_spaces.supernet import Supernet

    space = make_space({"name": "hybrid-vision", "preset": "tiny", "resolutions": [8], "in_channels": 1, "classes": 3})
    plain = Supernet.extract

    def wrong(self, architecture):
        network = plain(self, architecture)
        next(network.parameters()).data.mul_(1.01)
        return network

    monkeypatch.setattr(Supernet, "extract", wrong)
    assert bench_slices(space, 5, 0, 0, Silent())["max_relative_error"] > 1e-4


def test_a_run_without_fronts_says_so(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from nas.job_file import parse_job
    from nas.run import RunDirectory

    RunDirectory.create(folder / "empty-run", parse_job(JOB)).close()
    for command in (["front"], ["report"], ["export", "--hash", "a"]):
        assert main([command[0], str(folder / "empty-run"), *command[1:]]) == 2
        assert "no front for cpu yet" in capsys.readouterr().err


def test_a_searched_run_shows_its_front_before_the_report(
    tabled: tuple[Path, Path], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["search", str(tabled[0]), "--out", str(folder / "searched")]) == 0
    capsys.readouterr()
    assert main(["front", str(folder / "searched"), "--json"]) == 0
    front = json.loads(capsys.readouterr().out)["cpu"]
    assert {member["test_accuracy"] for member in front} == {None}


def test_the_command_line_is_read_without_the_heavy_packages() -> None:
    check = "import sys, nas.cli; print(*{'torch', 'pandas', 'plotly', 'optuna'}.intersection(sys.modules))"
    assert (
        subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True).stdout.split() == []
    )
