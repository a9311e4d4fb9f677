"""`nas profile --json`: standard output is one object, of a plan or of the table that was measured."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hardware.table import LatencyTable
from nas.cli import main

WORDS = ["profile", "--space", "hybrid-vision/tiny", "--runtime", "torch", "--json"]
FEW = ["--operators", "30", "--fit", "20", "--validate", "30", "--minutes", "0"]


@pytest.mark.usefixtures("brief")
def test_the_table_that_was_measured_is_told_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "table"
    assert main([*WORDS, *FEW, "--out", str(out)]) == 0
    told = json.loads(capsys.readouterr().out)
    table = LatencyTable.load(out)
    assert told == {"table": str(out), "operators": len(table.operators), **table.header}
    assert told["validation"]["networks"] == 30


def test_a_dry_run_tells_the_plan_and_measures_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "table"
    assert main([*WORDS, "--operators", "30", "--precision", "bf16", "--dry-run", "--out", str(out)]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["operators"] == 30
    assert told["of"] > 1000
    assert told["precision"] == "bf16"
    assert not out.exists()
