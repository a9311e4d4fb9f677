"""`nas bench calibrate` on tables of devices of our own making."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hardware.device import Device
from hardware.measurement import Measurement
from hardware.table import LatencyTable
from nas.cli import main
from predictors.features import work
from search_spaces import make_space

SPACE = make_space(
    {"name": "hybrid-vision", "preset": "tiny", "resolutions": [8], "in_channels": 1, "mixers": ["mbconv", "mhsa"]}
)


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Two devices that differ in their speed and in how well they take each operator."""
    folder, rows = tmp_path_factory.mktemp("tables"), SPACE.sample(30, np.random.default_rng(0))
    for number, name in enumerate(("one", "two")):
        rng = np.random.default_rng(number)
        speed = {n: 1e8 * 10**number * rng.uniform(0.7, 1.3) for n in sorted({s.name for s in SPACE.specs()})}
        ms = {spec: 0.02 + work(spec)[0] / speed[spec.name] for spec in SPACE.specs()}

        def measured(key: str, value: float) -> Measurement:
            return Measurement.from_rounds(key, [[value / 1e3] * 3])

        runtime = {"runtime": name, "precision": "fp32", "threads": 1, "versions": {}}
        table = LatencyTable.create(device=Device("d", "cpu"), runtime=runtime, batch=1, space=SPACE.definition)
        table = table.with_operators(measured(spec.canonical, ms[spec]) for spec in list(ms)[:: 2 + number])
        for role, part in (("fit", rows[:12]), ("validate", rows[12:])):
            networks = [SPACE.architecture(row) for row in part]
            sums = {json.dumps(n.to_json()): sum(ms[spec] for spec in n.specs) for n in networks}
            table = table.with_networks((measured(*line) for line in sums.items()), role)
        table.save(folder / name)
    return [str(folder / name) for name in ("one", "two")]


def test_every_table_is_the_target_once_and_every_method_is_judged(
    tables: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [
        "bench",
        "calibrate",
        *tables,
        "--samples",
        "5,10",
        "--seeds",
        "2",
        "--out",
        str(tmp_path / "study"),
        "--json",
    ]
    assert main(words) == 0
    rows = pd.DataFrame(json.loads(capsys.readouterr().out)["rows"])
    few = rows[rows["method"] != "own table"]
    assert set(few["target"]) == {"one", "two"}
    assert set(few["method"]) == {"calibrated", "proxy", "linear", "MACs"}
    assert few.groupby(["target", "samples", "chosen"]).size().unique().tolist() == [4]
    assert set(zip(few["chosen"], few["seeds"], strict=True)) == {(False, 2), (True, 1)}
    assert set(rows.columns) >= {"spearman_mean", "kendall_std", "mape_mean", "within_10_mean", "coverage_90_mean"}
    ours = few[few["method"] == "calibrated"]
    assert ours["spearman_mean"].min() > 0.9
    assert ours.groupby("samples")["mape_mean"].mean()[10] < few[few["method"] == "MACs"]["mape_mean"].mean()
    own = rows[rows["method"] == "own table"]
    assert own["mape_mean"].mean() < ours["mape_mean"].mean()
    assert len(pd.read_csv(tmp_path / "study" / "calibration.csv")) == len(rows)
    assert (tmp_path / "study" / "calibration.png").read_bytes()[1:4] == b"PNG"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--samples", "2"], "--samples: got '2'; legal: whole numbers from 3"),
        (["--samples", "99"], "has 12 fit networks; legal: at least 99"),
    ],
)
def test_wrong_options_exit_2(
    words: list[str], message: str, tables: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", "calibrate", *tables, *words]) == 2
    assert message in " ".join(capsys.readouterr().err.split())


def test_one_table_alone_and_names_that_repeat_are_refused(
    tables: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", "calibrate", tables[0]]) == 2
    assert "TABLE: got 1; legal: two or more" in capsys.readouterr().err
    assert main(["bench", "calibrate", tables[0], tables[0]]) == 2
    assert "TABLE: two have the same name" in capsys.readouterr().err
