"""A trained run that a module's tests search in: on a table of the project, so that nothing is measured for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from nas.cli import main
from tests.conftest import SMALL_JOB

TABLE = Path(__file__).parents[3] / "hardware" / "tables" / "hybrid-vision-tiny" / "amd-epyc" / "onnxruntime-fp32"
DEVICE = {"name": "cpu", "runtime": "onnxruntime", "table": str(TABLE)}
JOB = SMALL_JOB | {"devices": [DEVICE]}


def train(job: dict[str, Any], run: Path) -> Path:
    """``run``, trained as ``job`` says; the job's file stands beside it."""
    (run.parent / "job.yaml").write_text(yaml.safe_dump(job))
    assert main(["train", str(run.parent / "job.yaml"), "--out", str(run)]) == 0
    return run


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of `JOB`, of the module's own."""
    return train(JOB, tmp_path_factory.mktemp("bench") / "run")
