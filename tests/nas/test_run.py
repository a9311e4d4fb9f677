"""Run directories: complete files, one writer, resumable logs."""

import copy
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nas.errors import JobError
from nas.files import append_rows, read_rows, write_atomically
from nas.job_file import load_job, parse_job
from nas.run import RunDirectory, default_run_path

JOB = load_job("quickstart")

# Writes files of one repeated byte, 16 MiB each, for ever: a kill lands in the middle of a write.
WRITER = """
import itertools, sys
from pathlib import Path
from nas.files import write_atomically
for value in itertools.cycle(range(256)):
    write_atomically(Path(sys.argv[1]) / "deep" / "big.bin", bytes([value]) * 2**24)
    print("written", flush=True)
"""


def other_job() -> Any:
    data = copy.deepcopy(JOB.to_dict())
    data["train"]["epochs"] = 13
    data["seed"] = 5
    return parse_job(data)


def test_default_path() -> None:
    assert default_run_path(JOB).parts == ("results", "runs", "quickstart")


def test_steps_files_and_job_survive_reopening(tmp_path: Path) -> None:
    frame = pd.DataFrame({"key": ["a", "b"], "latency_ms": [0.1, 1 / 3]})
    tensors = {"w": torch.randn(4, 3), "half": torch.randn(3, 4).T, "step": torch.tensor(7)}
    with RunDirectory.create(tmp_path / "run", JOB) as run:
        run.write_csv("front.csv", frame)
        run.write_parquet("deep/front.parquet", frame)
        run.write_tensors("model.safetensors", tensors, {"epoch": "3"})
        run.write_json("facts.json", {"a": [1, 2.5]})
        assert not run.step_done("train")
        run.mark_done("train", seconds=1.5, loss=0.25)
    with RunDirectory.open(tmp_path / "run") as run:
        assert run.job == JOB
        assert run.step_done("train")
        assert run.facts("train") == {"done": True, "seconds": 1.5, "loss": 0.25}
        assert not run.step_done("search")
        assert {"python", "platform", "created", "packages", "fingerprint"} <= set(run.manifest)
        assert run.manifest["packages"]["torch"] == torch.__version__
        assert run.read_json("facts.json") == {"a": [1, 2.5]}
        pd.testing.assert_frame_equal(pd.read_csv(run.file("front.csv")), frame)
        pd.testing.assert_frame_equal(pd.read_parquet(run.file("deep/front.parquet")), frame)
        loaded, metadata = run.read_tensors("model.safetensors")
        assert metadata == {"epoch": "3"}
        assert all(torch.equal(loaded[key], value) for key, value in tensors.items())


def test_json_has_no_nan_and_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    with RunDirectory.create(tmp_path / "run", JOB) as run:
        before = sorted(os.listdir(run.path))
        with pytest.raises(ValueError, match="JSON"):
            run.write_json("facts.json", {"a": float("nan")})
        with pytest.raises(TypeError):
            write_atomically(run.path / "x", "text")  # type: ignore[arg-type]
        assert sorted(os.listdir(run.path)) == before


@pytest.mark.parametrize("name", ["../out.txt", "/out.txt", "a/../../out.txt"])
def test_names_stay_inside_the_run(tmp_path: Path, name: str) -> None:
    with RunDirectory.create(tmp_path / "run", JOB) as run, pytest.raises(ValueError, match="inside the run"):
        run.write_text(name, "x")


def test_another_job_is_refused_by_the_keys_that_differ(tmp_path: Path) -> None:
    RunDirectory.create(tmp_path / "run", JOB).close()
    with pytest.raises(JobError, match=r"these keys differ: seed, train\.epochs"):
        RunDirectory.open(tmp_path / "run", other_job())
    with pytest.raises(JobError, match="these keys differ"):
        RunDirectory.start(tmp_path / "run", other_job())
    RunDirectory.start(tmp_path / "run", JOB).close()


def test_a_run_of_before_a_key_came_is_that_run_still(tmp_path: Path) -> None:
    with RunDirectory.create(tmp_path / "run", JOB) as run:
        old = run.manifest["job"]
        del old["data"]["context"]
        run.write_json("manifest.json", run.manifest | {"job": old, "fingerprint": "of then"})
    RunDirectory.open(tmp_path / "run").close()
    RunDirectory.open(tmp_path / "run", read_only=True).close()
    with pytest.raises(JobError, match=r"these keys differ: seed, train\.epochs"):
        RunDirectory.open(tmp_path / "run", other_job())
    with RunDirectory.open(tmp_path / "run") as run:
        run.write_json("manifest.json", run.manifest | {"job": JOB.to_dict(), "fingerprint": "damaged"})
    with pytest.raises(JobError, match="an unknown key"):
        RunDirectory.open(tmp_path / "run")


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(JobError, match="is no run"):
        RunDirectory.open(tmp_path)
    with pytest.raises(JobError, match="is no run"):
        RunDirectory.open(tmp_path / "missing")
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(JobError, match=r"thesis\.txt"):
        RunDirectory.create(tmp_path, JOB)
    with pytest.raises(JobError, match="is a file"):
        RunDirectory.create(tmp_path / "thesis.txt", JOB)
    RunDirectory.create(tmp_path / "run", JOB).close()
    with pytest.raises(JobError, match="already a run"):
        RunDirectory.create(tmp_path / "run", JOB)


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"fingerprint": 1, "job": {}, "steps": []}', "[" * 100_000])
def test_a_broken_manifest_is_a_job_error(tmp_path: Path, content: Any) -> None:
    RunDirectory.create(tmp_path / "run", JOB).close()
    (tmp_path / "run" / "manifest.json").write_text(content)
    with pytest.raises(JobError, match="manifest"):
        RunDirectory.open(tmp_path / "run")
    with pytest.raises(JobError, match="manifest"):
        RunDirectory.open(tmp_path / "run", JOB)


def test_an_interrupted_create_can_be_repeated(tmp_path: Path) -> None:
    (tmp_path / ".lock").write_text("1\n")
    (tmp_path / ".writing-abc").write_text("half")
    (tmp_path / "job.yaml").write_text("half")
    with RunDirectory.start(tmp_path, JOB) as run:
        assert not (tmp_path / ".writing-abc").exists()
    with RunDirectory.open(tmp_path) as run:
        assert run.job == JOB


def test_one_writer_many_readers(tmp_path: Path) -> None:
    with RunDirectory.create(tmp_path / "run", JOB) as run:
        with pytest.raises(JobError, match=f"process {os.getpid()} is writing it"):
            RunDirectory.open(tmp_path / "run", JOB)
        script = "import sys; from nas.run import RunDirectory; RunDirectory.open(sys.argv[1])"
        ended = subprocess.run(
            [sys.executable, "-c", script, run.path], capture_output=True, text=True, cwd=os.getcwd()
        )
        assert f"process {os.getpid()} is writing it" in ended.stderr
        reader = RunDirectory.open(tmp_path / "run", read_only=True)
        assert reader.job == JOB
        with pytest.raises(RuntimeError, match="open for reading"):
            reader.write_text("x", "y")
        with pytest.raises(RuntimeError, match="open for reading"):
            reader.mark_done("train")
    with pytest.raises(RuntimeError, match="closed"):
        run.write_text("x", "y")
    RunDirectory.open(tmp_path / "run", JOB).close()


def test_a_forked_child_neither_keeps_nor_breaks_the_lock(tmp_path: Path) -> None:
    run = RunDirectory.create(tmp_path / "run", JOB)
    child = os.fork()
    if child == 0:
        time.sleep(30)
        os._exit(0)
    try:
        time.sleep(0.2)
        with pytest.raises(JobError, match="is writing it"):
            RunDirectory.open(tmp_path / "run")
        run.close()
        RunDirectory.open(tmp_path / "run").close()
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def test_a_killed_writer_leaves_a_complete_file_and_its_rest_is_swept(tmp_path: Path) -> None:
    RunDirectory.create(tmp_path / "run", JOB).close()
    target, rest = tmp_path / "run" / "deep" / "big.bin", 0
    for attempt in range(12):
        process = subprocess.Popen([sys.executable, "-c", WRITER, tmp_path / "run"], stdout=subprocess.PIPE)
        assert process.stdout is not None
        process.stdout.readline()
        deadline = time.monotonic() + 5
        while not list(target.parent.glob(".writing-*")) and time.monotonic() < deadline:
            pass  # catch it with a file half written
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        content = target.read_bytes()
        assert len(content) == 2**24
        assert content.count(content[:1]) == 2**24
        rest = len(list(target.parent.glob(".writing-*")))
        if rest and attempt >= 1:
            break
    assert rest, "no kill landed inside a write"
    with RunDirectory.open(tmp_path / "run", JOB) as run:
        assert sorted(file.name for file in run.path.rglob("*")) == [
            ".lock",
            "big.bin",
            "deep",
            "job.yaml",
            "manifest.json",
        ]


def test_rows_come_back_exactly(tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    rows = [{"key": "a,b", "x": np.float64(1 / 3), "n": np.int64(3)}, {"key": 'say "é"', "x": 1e-300, "n": 0}]
    append_rows(log, [])
    assert read_rows(log) == []
    append_rows(log, rows[:1])
    append_rows(log, rows[1:])
    back = read_rows(log)
    assert [row["key"] for row in back] == ["a,b", 'say "é"']
    assert [float(row["x"]) for row in back] == [1 / 3, 1e-300]
    assert [int(row["n"]) for row in back] == [3, 0]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cut=st.integers(0, 200), rows=st.lists(st.tuples(st.text(max_size=5), st.floats()), min_size=1, max_size=6))
def test_a_log_torn_anywhere_keeps_its_complete_rows_and_grows_on(tmp_path: Path, cut: Any, rows: Any) -> None:
    log = tmp_path / "log.csv"
    log.unlink(missing_ok=True)
    records = [{"key": repr(text), "value": value} for text, value in rows]
    append_rows(log, records)
    content = log.read_bytes()
    ends = [i + 1 for i, byte in enumerate(content) if byte == 10]
    cut = min(cut, len(content))
    log.write_bytes(content[:cut])
    complete = max(sum(end <= cut for end in ends) - 1, 0)
    as_text = [{key: str(value) for key, value in row.items()} for row in records]
    assert read_rows(log) == as_text[:complete]
    append_rows(log, records[complete:])
    assert read_rows(log) == as_text
    assert log.read_bytes() == content


def test_rows_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    append_rows(log, [{"a": 1, "b": 2}])
    for rows in ([{"b": 1, "a": 2}], [{"a": 1, "b": "x\ny"}], [{"a": 1, "b": 2}, {"a": 1}]):
        with pytest.raises(ValueError, match=r"log\.csv"):
            append_rows(log, rows)
    assert log.read_text() == "a,b\n1,2\n"
    log.write_text("a,b\n1\n")
    with pytest.raises(JobError, match="line 2 has 1 values"):
        read_rows(log)


def test_a_changed_search_section_keeps_the_supernet_and_drops_what_came_after(tmp_path: Path) -> None:
    job = load_job("quickstart")
    with RunDirectory.create(tmp_path / "run", job) as run:
        for step in ("profile:cpu-torch", "train", "search:cpu-torch", "report", "export:cpu-torch"):
            run.mark_done(step)
        run.write_text("search/evaluations.csv", "hash,accuracy\n")
        run.write_text("report/tests.csv", "hash\n")
    data = job.to_dict()
    data["search"]["evaluations"] += 1
    data["devices"][0]["max_latency_ms"] = 5.0
    changed = parse_job(data)
    with RunDirectory.open(tmp_path / "run", changed) as run:
        assert set(run.manifest["steps"]) == {"profile:cpu-torch", "train"}
        assert run.file("search/evaluations.csv").exists()  # what was scored stays scored
        assert not run.file("report/tests.csv").exists()
    with RunDirectory.open(tmp_path / "run") as run:
        assert run.job == changed
    data["search"]["calibration_images"] += 1
    with RunDirectory.open(tmp_path / "run", parse_job(data)) as run:
        assert not run.file("search/evaluations.csv").exists()
    data["train"]["epochs"] += 1
    with pytest.raises(JobError, match=r"differ: train\.epochs"):
        RunDirectory.open(tmp_path / "run", parse_job(data))
