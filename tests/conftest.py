"""What all tests share."""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Iterator
from dataclasses import astuple
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


@pytest.fixture(scope="module")
def brief() -> Iterator[None]:
    """What names no settings of its own, and what asks for thorough ones, measures as briefly as a trial does."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MeasureSettings, "thorough", MeasureSettings.quick)
        patch.setattr(MeasureSettings.__init__, "__defaults__", astuple(MeasureSettings.quick()))
        yield
