"""A run directory: every file of one run, written so that a kill at any moment leaves a run that resumes.

Files appear under their final name complete or not at all; one process at a time writes a run; the manifest says which
steps are done. Formats are JSON, YAML, CSV, Parquet and safetensors: nothing is ever unpickled.
"""

from __future__ import annotations

import fcntl
import json
import os
import platform
import re
import weakref
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import yaml

from nas.errors import JobError
from nas.files import TEMPORARY, append_rows, read_rows, write_atomically
from nas.job import Job
from nas.job_file import different_keys, load_job, parse_job

if TYPE_CHECKING:
    import pandas as pd
    import torch

__all__ = ["RunDirectory", "default_run_path"]

# Sections that a run may go on with after a change: what came before them, the supernet and the tables, still holds.
LATER = ("search", "report", "export")
MANIFEST, JOB, LOCK = "manifest.json", "job.yaml", ".lock"
PACKAGES = (
    "torch",
    "numpy",
    "pandas",
    "scikit-learn",
    "pydantic",
    "safetensors",
    "moocore",
    "onnx",
    "onnxruntime",
    "executorch",
)


def default_run_path(job: Job) -> Path:
    """Where a run goes when nobody says: results/runs/<job name> under the working folder."""
    return Path("results") / "runs" / job.name


class RunDirectory:
    """The files of one run. Make it with `create`, `open` or `start`; use it as a context manager or `close` it.

    File names are relative to the run (`"front-cpu.csv"`, `"export/cpu-1/model.onnx"`); folders are made as needed.
    """

    path: Path
    job: Job
    manifest: dict[str, Any]
    read_only: bool

    def __init__(self, path: Path, read_only: bool = False) -> None:
        self.path = Path(path)
        self.read_only = read_only
        self._lock: int | None = None

    # Opening and closing

    @classmethod
    def create(cls, path: str | Path, job: Job) -> RunDirectory:
        """A new run. Raises JobError where the folder holds anything but the start of a killed `create`."""
        run = cls(Path(path))
        if run.path.exists() and not run.path.is_dir():
            raise JobError(f"run {run.path}: is a file; legal: a new or empty folder")
        run.path.mkdir(parents=True, exist_ok=True)
        for file in run.path.iterdir():
            if file.name not in (LOCK, JOB) and not file.name.startswith(TEMPORARY):
                what = "already a run" if file.name == MANIFEST else f"not empty (it holds {file.name})"
                raise JobError(f"run {run.path}: is {what}; legal: a new or empty folder")
        run._acquire()
        try:
            run._sweep()
            run.job = job
            run.write_text(JOB, yaml.safe_dump(job.to_dict(), sort_keys=False))
            run.manifest = {
                "fingerprint": job.fingerprint(),
                "job": job.to_dict(),
                "created": datetime.now(UTC).isoformat(timespec="seconds"),
                "python": platform.python_version(),
                "platform": platform.platform(),
                "packages": _versions(),
                "steps": {},
            }
            run.write_json(MANIFEST, run.manifest)  # last: a folder is a run once it has this file
        except BaseException:
            run.close()
            raise
        return run

    @classmethod
    def open(cls, path: str | Path, job: Job | None = None, *, read_only: bool = False) -> RunDirectory:
        """The run at `path`, to resume it or (`read_only`, without the lock) to look at it.

        A `job` that differs only in its search, report or export sections or its latency limits and goals takes the run
        over:
        those steps are done again, with the supernet and the tables that are there.

        Raises JobError where the folder is no run, another process writes it, or its job is another one; the message
        names the keys that differ.
        """
        run = cls(Path(path), read_only)
        if not (run.path / MANIFEST).is_file():
            raise JobError(f"run {run.path}: is no run (no {MANIFEST}); legal: a folder that `nas run` made")
        if not read_only:
            run._acquire()
        try:
            run.manifest = _read_manifest(run.path / MANIFEST)
            run.job = load_job(run.path / JOB) if job is None else job
            if run.manifest["fingerprint"] != run.job.fingerprint():
                then = _read_today(run.manifest["job"])
                keys = different_keys(then, run.job.to_dict())
                early = [
                    key
                    for key in keys
                    if not (_section(key) in LATER or key.endswith((".max_latency_ms", ".goal_latency_ms")))
                ]
                damaged = not keys and then == run.manifest["job"]
                if early or damaged or (keys and read_only):
                    raise JobError(
                        f"run {run.path}: was made with another job; these keys differ: "
                        f"{', '.join(early or keys) or 'an unknown key'}; legal: the same job, or another directory (--out)"
                    )
                if keys:
                    run._take_over(keys)
            if not read_only:
                run._sweep()
        except BaseException:
            run.close()
            raise
        return run

    @classmethod
    def start(cls, path: str | Path, job: Job) -> RunDirectory:
        """Resume the run at `path` if there is one, else create it."""
        return cls.open(path, job) if (Path(path) / MANIFEST).is_file() else cls.create(path, job)

    def close(self) -> None:
        """Release the lock; harmless when called again."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def __enter__(self) -> RunDirectory:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _acquire(self) -> None:
        descriptor = os.open(self.path / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            pid = os.read(descriptor, 32).decode(errors="replace").strip() or "unknown"
            os.close(descriptor)
            raise JobError(f"run {self.path}: process {pid} is writing it; wait for it or stop it") from None
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
        self._lock = descriptor
        own = weakref.ref(self)

        def let_go() -> None:  # a forked worker that outlives a killed parent must not keep the run locked
            if (run := own()) is not None:
                run.close()

        os.register_at_fork(after_in_child=let_go)

    def _sweep(self) -> None:
        for file in self.path.rglob(f"{TEMPORARY}*"):
            file.unlink(missing_ok=True)

    def _take_over(self, keys: Sequence[str]) -> None:
        """Forgets the steps that the changed `keys` touch; the manifest, with the new job, is written last."""
        self._sweep()
        if {"search.images", "search.calibration_images"} & set(keys):
            self.file("search/evaluations.csv").unlink(missing_ok=True)
        for name in ("report/tests.csv", "report.html"):
            self.file(name).unlink(missing_ok=True)
        steps = {name: facts for name, facts in self.manifest["steps"].items() if name.split(":")[0] not in LATER}
        self.write_text(JOB, yaml.safe_dump(self.job.to_dict(), sort_keys=False))
        self.manifest |= {"job": self.job.to_dict(), "fingerprint": self.job.fingerprint(), "steps": steps}
        self.write_json(MANIFEST, self.manifest)

    # Steps

    def step_done(self, name: str) -> bool:
        """Whether `mark_done(name)` was called in this run, now or before a kill."""
        return bool(self.manifest["steps"].get(name, {}).get("done", False))

    def mark_done(self, name: str, **facts: Any) -> None:
        """Record a finished step with JSON facts about it (`seconds=12.5`); call it after the step's files."""
        self.manifest["steps"][name] = {"done": True, **facts}
        self.write_json(MANIFEST, self.manifest)

    def facts(self, name: str) -> dict[str, Any]:
        """What `mark_done` recorded for the step, {} where it is not done."""
        return dict(self.manifest["steps"].get(name, {}))

    # Files

    def file(self, name: str | Path) -> Path:
        """The full path of a file of the run; ValueError for a name that leaves the run."""
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise ValueError(f"file name {str(name)!r}: legal are names inside the run")
        return self.path / name

    def _target(self, name: str | Path) -> Path:
        if self.read_only or self._lock is None:
            state = "open for reading" if self.read_only else "closed"
            raise RuntimeError(f"run {self.path} is {state}: cannot write {name}")
        return self.file(name)

    def write_bytes(self, name: str | Path, content: bytes) -> Path:
        target = self._target(name)
        write_atomically(target, content)
        return target

    def write_text(self, name: str | Path, text: str) -> Path:
        return self.write_bytes(name, text.encode())

    def write_json(self, name: str | Path, value: object) -> Path:
        """JSON, indented; ValueError for NaN or infinity, which JSON does not have."""
        return self.write_text(name, json.dumps(value, indent=2, allow_nan=False) + "\n")

    def write_csv(self, name: str | Path, frame: pd.DataFrame) -> Path:
        return self.write_text(name, frame.to_csv(index=False, lineterminator="\n"))

    def write_parquet(self, name: str | Path, frame: pd.DataFrame) -> Path:
        return self.write_bytes(name, frame.to_parquet(index=False))

    def write_tensors(
        self, name: str | Path, tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, str] | None = None
    ) -> Path:
        """safetensors, with text metadata in its header: tensors and what belongs to them land in one step."""
        from safetensors.torch import save

        plain = {key: value.detach().cpu().contiguous() for key, value in tensors.items()}
        return self.write_bytes(name, save(plain, dict(metadata) if metadata else None))

    def read_json(self, name: str | Path) -> Any:
        return json.loads(self.file(name).read_text(encoding="utf-8"))

    def read_tensors(self, name: str | Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
        """The tensors (on the CPU) and the metadata of a `write_tensors` file."""
        from safetensors import safe_open

        with safe_open(self.file(name), framework="pt") as file:
            names = list(file.keys())
            return {name: file.get_tensor(name) for name in names}, dict(file.metadata() or {})

    def append_rows(self, name: str | Path, rows: Sequence[Mapping[str, object]]) -> None:
        """`append_rows` on a log of the run."""
        append_rows(self._target(name), rows)

    def read_rows(self, name: str | Path) -> list[dict[str, str]]:
        """`read_rows` of a log of the run."""
        return read_rows(self.file(name))


def _section(key: str) -> str:
    return re.split(r"[.\[]", key, maxsplit=1)[0]


def _read_manifest(path: Path) -> dict[str, Any]:
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise JobError(f"{path}: cannot be read ({error}); legal: the manifest that `nas run` wrote") from None
    legal = isinstance(manifest, dict) and {"fingerprint", "job", "steps"} <= set(manifest)
    if not legal or not all(isinstance(step, dict) for step in _values(manifest["steps"])):
        raise JobError(f"{path}: is no manifest of a run; legal: a JSON object with fingerprint, job and steps")
    return dict(manifest)


def _read_today(job: object) -> object:
    """A stored job with the keys that jobs have got since, at their defaults; as it is where it is none today."""
    try:
        return parse_job(job).to_dict()
    except JobError:
        return job


def _values(steps: object) -> list[object]:
    return list(steps.values()) if isinstance(steps, dict) else [None]


def _versions() -> dict[str, str]:
    found: dict[str, str] = {}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found
