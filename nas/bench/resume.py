"""Claim: a run that is killed again and again ends with the same front, byte for byte, as one that is not."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from nas.errors import JobError
from nas.job_file import load_job
from nas.progress import Progress

# everything that no clock enters
SAME = ("front-*.csv", "search/evaluations.csv", "search/*.parquet", "train/supernet.safetensors", "train/log.csv")


def bench_resume(job: str, folder: Path, kills: int, seed: int, progress: Progress) -> dict[str, Any]:
    """Runs ``job`` undisturbed, then ``kills`` times: each is killed (SIGKILL) at a random moment and resumed to the end.

    The job must give a latency table for every device, so that no clock enters.

    Returns:
        kills, identical (runs whose files are the same), moments (the step each kill hit, and after how many seconds),
        different (what differed).

    Raises:
        JobError: a device has no table, or the undisturbed run fails.
    """
    loaded = load_job(job)
    missing = [device.name for device in loaded.devices if device.table is None]
    if missing:
        raise JobError(
            f"devices.{missing[0]}.table: is missing; legal: a table for every device, so that no clock enters"
        )
    folder.mkdir(parents=True, exist_ok=True)
    began = time.perf_counter()
    _finish(job, folder / "undisturbed")
    length = time.perf_counter() - began
    expected = fingerprints(folder / "undisturbed")
    rng = np.random.default_rng(seed)
    moments, different = [], []
    advance = progress.task("kill and resume", kills)
    for number in range(kills):
        out = folder / f"killed-{number + 1}"
        after, length = _kill(job, out, rng, length)
        moments.append({"seconds": round(after, 1), "reached": _reached(out)})
        _finish(job, out)
        found = fingerprints(out)
        names = expected.keys() | found.keys()
        different += [f"{out.name}: {name}" for name in sorted(names) if expected.get(name) != found.get(name)]
        advance(number + 1, f"{len(different)} differences")
    bad = {text.split(":")[0] for text in different}
    return {
        "job": loaded.name,
        "kills": kills,
        "identical": kills - len(bad),
        "seconds_undisturbed": round(length, 1),
        "files_compared": sorted(expected),
        "moments": moments,
        "different": different,
    }


def _kill(job: str, out: Path, rng: np.random.Generator, length: float) -> tuple[float, float]:
    """Starts the run and kills it at a random moment of its ``length`` in seconds; one that ended before it could be
    killed is done over, with the shorter length. Gives the moment and the length."""
    while True:
        after = float(rng.uniform(2.0, length))
        process = _start(job, out)
        try:
            process.communicate(timeout=after)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            return after, length
        length = max(after, 3.0)
        shutil.rmtree(out)


def fingerprints(folder: Path) -> dict[str, str]:
    """File -> SHA-256, for the files that no clock enters."""
    files = sorted(file for pattern in SAME for file in folder.glob(pattern))
    return {str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def _reached(folder: Path) -> str:
    """The steps that were done when the run was killed."""
    import json

    try:
        steps = json.loads((folder / "manifest.json").read_text())["steps"]
    except FileNotFoundError:
        return "before the run directory was complete"
    return "after " + (", ".join(steps) or "nothing")


def _start(job: str, out: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "nas.cli", "run", job, "--out", str(out)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True)


def _finish(job: str, out: Path) -> None:
    process = _start(job, out)
    _, errors = process.communicate()
    if process.returncode:
        raise JobError(f"run {out}: ended with code {process.returncode}: {errors.decode(errors='replace')[-2000:]}")
