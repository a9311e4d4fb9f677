"""Claim: a run that is killed again and again ends with the same front, byte for byte, as one that is not."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from nas.errors import JobError
from nas.job import Job
from nas.job_file import load_job
from nas.progress import Progress
from nas.search import get_searcher

AGAIN = 4  # kills of one search before it may end

# everything that no clock enters
SAME = ("front-*.csv", "search/*evaluations.csv", "search/*.parquet", "train/supernet.safetensors", "train/log.csv")


@dataclass(frozen=True)
class Case:
    """A command that is killed and started again: its arguments, and the run directory that it goes on from, if any."""

    name: str
    arguments: tuple[str, ...]
    start: Path | None = None


def bench_resume(
    job: str, folder: Path, kills: int, seed: int, progress: Progress, searchers: Sequence[str] = ()
) -> dict[str, Any]:
    """Runs ``job`` undisturbed, then kills it (SIGKILL) at random moments, ``kills`` in all, and resumes it to the end.

    Without ``searchers`` every run is killed once, at any moment from start to report. With them the supernet is trained
    once; then the search is done by each of them, and every run of it is killed `AGAIN` times in a row before it may end.
    The job must give a latency table for every device, so that no clock enters.

    Returns:
        kills, runs, identical (runs whose files are the same), moments (the step each kill hit, and after how many
        seconds), different (what differed).

    Raises:
        JobError: a device has no table, a searcher is unknown, or an undisturbed run fails.
    """
    loaded = load_job(job)
    missing = [device.name for device in loaded.devices if device.table is None]
    if missing:
        raise JobError(
            f"devices.{missing[0]}.table: is missing; legal: a table for every device, so that no clock enters"
        )
    folder.mkdir(parents=True, exist_ok=True)
    cases = _search_cases(loaded, folder, searchers) if searchers else [Case("run", ("run", job))]
    rng = np.random.default_rng(seed)
    moments: list[dict[str, Any]] = []
    different: list[str] = []
    compared: set[str] = set()
    runs = 0
    advance = progress.task("kill and resume", kills)
    for place, case in enumerate(cases):
        expected, length = _undisturbed(case, folder)
        compared |= expected.keys()
        left = kills * (place + 1) // len(cases) - kills * place // len(cases)
        while left > 0:
            runs += 1
            out = _fresh(case, folder / f"{case.name}-killed-{runs}")
            for _ in range(min(left, AGAIN if case.start else 1)):
                after, length = _kill(case, out, rng, length)
                moments.append({"case": case.name, "seconds": round(after, 1), "reached": _reached(out)})
                left -= 1
                advance(len(moments), f"{case.name}, {len(different)} differences")
            _finish(case, out)
            found = fingerprints(out)
            names = sorted(expected.keys() | found.keys())
            different += [f"{out.name}: {name}" for name in names if expected.get(name) != found.get(name)]
    bad = {text.split(":")[0] for text in different}
    return {
        "job": loaded.name,
        "cases": [case.name for case in cases],
        "kills": kills,
        "runs": runs,
        "identical": runs - len(bad),
        "files_compared": sorted(compared),
        "moments": moments,
        "different": different,
    }


def _search_cases(job: Job, folder: Path, searchers: Sequence[str]) -> list[Case]:
    """One search a searcher, each from a copy of one trained run."""
    for name in searchers:
        get_searcher(name)
    trained, cases = folder / "trained", []
    for name in searchers:
        plain = job.to_dict()
        plain["search"]["searcher"] = name
        file = folder / f"{name}.yaml"
        file.write_text(yaml.safe_dump(plain, sort_keys=False), encoding="utf-8")
        cases.append(Case(name, ("search", str(file)), trained))
    _finish(Case("train", ("train", cases[0].arguments[1])), trained)
    return cases


def _undisturbed(case: Case, folder: Path) -> tuple[dict[str, str], float]:
    """The files of a case that nobody kills, and how many seconds it took."""
    out = _fresh(case, folder / f"{case.name}-undisturbed")
    began = time.perf_counter()
    _finish(case, out)
    return fingerprints(out), time.perf_counter() - began


def _fresh(case: Case, out: Path) -> Path:
    """Where the case runs anew: a copy of what it goes on from."""
    if case.start is not None:
        shutil.rmtree(out, ignore_errors=True)
        shutil.copytree(case.start, out)
    return out


def _kill(case: Case, out: Path, rng: np.random.Generator, length: float) -> tuple[float, float]:
    """Starts the case and kills it at a random moment of its ``length`` in seconds; one that ended before it could be
    killed is done over, with the shorter length. Gives the moment and the length."""
    while True:
        after = float(rng.uniform(min(2.0, 0.5 * length), length))
        process = _start(case, out)
        try:
            process.communicate(timeout=after)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            return after, length
        length = max(0.9 * after, 2.0)
        shutil.rmtree(out)
        _fresh(case, out)


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


def _start(case: Case, out: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "nas.cli", *case.arguments, "--out", str(out)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True)


def _finish(case: Case, out: Path) -> None:
    process = _start(case, out)
    _, errors = process.communicate()
    if process.returncode:
        raise JobError(f"run {out}: ended with code {process.returncode}: {errors.decode(errors='replace')[-2000:]}")
