"""What all tests share."""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import astuple, replace
from pathlib import Path
from typing import Any

import pytest

from hardware.settings import MeasureSettings

# a job whose supernet trains in two seconds; no test looks at how good it is
SMALL_JOB: dict[str, Any] = {
    "name": "small",
    "threads": 1,
    "data": {"name": "digits", "limit": 300},
    "space": {"resolutions": [8]},
    "train": {"epochs": 1, "batch_size": 64, "warmup_epochs": 0.1, "subnets": 2},
    "devices": [{"name": "cpu", "runtime": "torch"}],
    "search": {"evaluations": 8, "population": 4, "images": 40, "calibration_images": 32},
}

# how long is timed where no test looks at how exactly
BRIEF = replace(
    MeasureSettings.quick(),
    warmup_runs=3,
    warmup_seconds=0.0,
    warmup_max_seconds=0.005,
    min_runs=6,
    target_seconds=0.0,
    max_seconds=0.02,
)

Once = Callable[[str, Callable[[Path], None]], Path]


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of the session that all its processes see."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if base.name.startswith("popen-") else base


@pytest.fixture(scope="session")
def once(shared: Path) -> Once:
    """``once(name, make)``: a shared folder that ``make`` fills in the first process that asks; to be read only."""

    def made(name: str, make: Callable[[Path], None]) -> Path:
        folder = shared / name
        with open(shared / f"{name}.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (done := shared / f"{name}.done").exists():
                folder.mkdir()
                make(folder)
                done.touch()
        return folder

    return made


@pytest.fixture(scope="session", autouse=True)
def _own_cache(shared: Path) -> None:
    """Converted models and built agents are kept for the session, for all its processes, and never in the user's cache."""
    pytest.MonkeyPatch().setenv("NAS_CACHE", str(shared / "cache"))


@contextmanager
def briefly() -> Iterator[None]:
    """Everything is timed as `BRIEF` says, whatever it asks for."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("quick", "thorough"):
            patch.setattr(MeasureSettings, name, lambda: BRIEF)
        patch.setattr(MeasureSettings.__init__, "__defaults__", astuple(BRIEF))
        for module in ("probing", "rig"):
            patch.setattr(f"nas.latency.{module}.BRIEF", BRIEF)
        yield


@pytest.fixture(scope="module")
def brief() -> Iterator[None]:
    """See `briefly`."""
    with briefly():
        yield
