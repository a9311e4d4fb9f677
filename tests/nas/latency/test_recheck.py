"""A table that was checked: true, drifted with wider intervals, or stale and refused."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardware.errors import HardwareError
from hardware.hosts import Host
from hardware.settings import MeasureSettings
from hardware.table import LatencyTable
from nas.cli import main
from nas.latency.plan import plan_profile
from nas.latency.profile import measure_table
from nas.latency.recheck import Check, check_table, checked, judge, sentinels
from nas.progress import Silent
from predictors import LatencyPredictor
from predictors.errors import PredictorError
from search_spaces import make_space

SPACE = make_space(
    {"name": "hybrid-vision", "preset": "tiny", "resolutions": [8], "in_channels": 1, "mixers": ["mbconv"]}
)
HEADER = {"device": {"name": "a", "kind": "cpu"}, "versions": {"torch": "1"}, "noise_floor": 0.01}


@pytest.fixture(scope="module")
def table(brief: None) -> LatencyTable:
    return measure_table(SPACE, "torch", plan_profile(SPACE, 18, 5, 4), Silent(), settings=MeasureSettings.quick())


def frame(ratio: float, n: int = 9) -> pd.DataFrame:
    then = np.linspace(0.1, 2.0, n)
    return pd.DataFrame({"key": [str(i) for i in range(n)], "then_ms": then, "now_ms": then * ratio})


@given(ratio=st.floats(0.5, 2.0))
def test_the_verdict_follows_the_drift(ratio: float) -> None:
    verdict, drift, spread, _, changed = judge(frame(ratio), HEADER, {"name": "a", "kind": "cpu"}, {"torch": "1"})
    assert drift == pytest.approx(np.log(ratio))
    assert spread == pytest.approx(0, abs=1e-9)
    assert changed == []
    size = abs(np.log(ratio))
    if size < np.log(1.029):
        assert verdict == "true"
    elif np.log(1.031) < size < np.log(1.249):
        assert verdict == "drifted"
    elif size > np.log(1.251):
        assert verdict == "stale"


def test_one_outlier_decides_nothing_and_noise_is_allowed_for() -> None:
    found = frame(1.0)
    found.loc[3, "now_ms"] *= 9
    assert judge(found, HEADER, {"name": "a", "kind": "cpu"}, {"torch": "1"})[0] == "true"
    assert judge(frame(1.07), HEADER, {"name": "a", "kind": "cpu"}, {"torch": "1"})[0] == "drifted"
    assert (
        judge(frame(1.07), {**HEADER, "noise_floor": 0.04}, {"name": "a", "kind": "cpu"}, {"torch": "1"})[0] == "true"
    )


def test_another_version_is_told_and_another_device_is_refused() -> None:
    verdict, _, _, _, changed = judge(frame(1.0), HEADER, {"name": "a", "kind": "cpu"}, {"torch": "2"})
    assert (verdict, changed) == ("drifted", ["torch: 1 -> 2"])
    verdict, _, _, _, changed = judge(frame(1.0), HEADER, {"name": "b", "kind": "cpu"}, {"torch": "1"})
    assert (verdict, changed) == ("stale", ["device: a -> b"])
    told = [
        {"name": "a", "kind": "cpu", "description": {"instructions": list(had)}} for had in (("avx2", "avx512f"), ())
    ]
    verdict, _, _, _, changed = judge(frame(1.0), {**HEADER, "device": told[0]}, told[1], {"torch": "1"})
    assert (verdict, changed) == ("stale", ["instructions: avx2, avx512f -> none"])


def test_sentinels_are_spread_over_the_latencies(table: LatencyTable) -> None:
    keys = sentinels(table)
    latency = table.operators.set_index("key")["median_ms"]
    assert len(keys) == len(set(keys)) == 12
    assert {latency.idxmin(), latency.idxmax()} <= set(keys)
    with pytest.raises(HardwareError, match="has no operators"):
        sentinels(LatencyTable(table.header, table.operators.iloc[:0], table.networks))


def test_a_real_check_measures_the_sentinels_again(table: LatencyTable, tmp_path: Path) -> None:
    check, found = check_table(table, Host(), Silent())
    assert list(found["key"]) == sentinels(table)
    assert (found["now_ms"] > 0).all()
    assert check.changed == []
    checked(table, check).save(tmp_path / "table")
    assert LatencyTable.load(tmp_path / "table").header["check"] == asdict(check)


def test_a_drift_widens_the_interval_and_a_stale_table_is_refused(table: LatencyTable, tmp_path: Path) -> None:
    rows = SPACE.sample(5, np.random.default_rng(0))

    def with_check(verdict: str, drift: float) -> LatencyTable:
        return checked(table, Check(verdict, drift, 0.0, 12, [], "2026-01-01", 1.0, []))  # type: ignore[arg-type]

    plain = LatencyPredictor(SPACE, table).predict(rows)
    true = LatencyPredictor(SPACE, with_check("true", 0.02)).predict(rows)
    drifted = LatencyPredictor(SPACE, with_check("drifted", 0.15)).predict(rows)
    assert np.array_equal(plain.high_ms, true.high_ms)
    assert np.array_equal(plain.mean_ms, drifted.mean_ms)
    half = np.hypot(np.log(plain.high_ms / plain.mean_ms), 0.15)
    assert np.log(drifted.high_ms / drifted.mean_ms) == pytest.approx(half)
    with pytest.raises(PredictorError, match=r"is stale by its check of 2026-01-01: its operators take \+65% of"):
        LatencyPredictor(SPACE, with_check("stale", 0.5))
    changed = with_check("true", 0.0).with_operators([])
    assert changed.header["check"] is None  # it was made of other measurements
    with_check("stale", 0.5).save(tmp_path / "stale")
    header = json.loads((tmp_path / "stale" / "header.json").read_text())
    header["check"]["verdict"] = "fine"
    (tmp_path / "stale" / "header.json").write_text(json.dumps(header))
    with pytest.raises(HardwareError, match="key 'check' must be what"):
        LatencyTable.load(tmp_path / "stale")


def test_the_command_says_whether_the_table_is_true(
    table: LatencyTable, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    slower = table.operators.assign(**{c: table.operators[c] * 3 for c in table.operators if c.endswith("_ms")})
    LatencyTable(table.header, slower, table.networks).save(tmp_path / "table")
    assert main(["profile", "--out", str(tmp_path / "table"), "--check", "--json"]) == 1
    said = json.loads(capsys.readouterr().out)
    assert said["verdict"] == "stale"
    assert len(said["measured"]) == 12
    assert LatencyTable.load(tmp_path / "table").header["check"]["verdict"] == "stale"
