"""A latency table survives its files, and a damaged one is refused with the file and the key."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from hardware import Device, HardwareError, LatencyTable, Measurement, get_runtime
from hardware.table_files import OPERATOR_COLUMNS


def timed(key: str, ms: float, dirty: bool = False) -> Measurement:
    noise = np.random.default_rng(len(key)).normal(1, 0.01, 40)
    return Measurement.from_rounds(key, [ms / 1e3 * noise], calls_per_sample=2, dirty=dirty)


@pytest.fixture
def table() -> LatencyTable:
    empty = LatencyTable.create(
        device=Device.local(), runtime=get_runtime("torch").describe(), batch=1, seconds=1.5, noise_floor=0.01
    )
    return empty.with_operators([timed("conv@8x4x4", 0.2), timed("mlp(dim=8)@8x4x4", 0.1, dirty=True)])


def test_round_trip_with_networks(table: LatencyTable, tmp_path: Path) -> None:
    full = table.with_networks([timed('{"net": 1}', 2)], "fit").with_networks([timed('{"net": 2}', 3)], "validate")
    full.save(tmp_path / "t")
    loaded = LatencyTable.load(tmp_path / "t")
    assert loaded.header == full.header
    pd.testing.assert_frame_equal(loaded.operators, full.operators)
    pd.testing.assert_frame_equal(loaded.networks, full.networks)
    assert loaded.lookup("conv@8x4x4") == timed("conv@8x4x4", 0.2)
    assert loaded.measurements()["mlp(dim=8)@8x4x4"].dirty
    assert loaded.device == Device.local().from_json(full.header["device"])
    assert list(loaded.networks["role"]) == ["fit", "validate"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["t"]  # no temporary files stay behind


def test_pandas_alone_reads_it(table: LatencyTable, tmp_path: Path) -> None:
    table.save(tmp_path / "t")
    frame = pd.read_parquet(tmp_path / "t" / "operators.parquet")
    assert list(frame.columns) == list(OPERATOR_COLUMNS)
    header = json.loads((tmp_path / "t" / "header.json").read_text())
    assert header["schema_version"] == 1
    assert header["validation"] is None
    assert not (tmp_path / "t" / "networks.parquet").exists()


def test_saving_again_replaces_everything(table: LatencyTable, tmp_path: Path) -> None:
    table.with_networks([timed("n", 2)], "fit").save(tmp_path / "t")
    table.save(tmp_path / "t")
    assert LatencyTable.load(tmp_path / "t").networks.empty


def test_a_save_that_fails_leaves_the_old_table(
    table: LatencyTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table.save(tmp_path / "t")

    def full_disk(self: pd.DataFrame, *args: Any, **kwargs: Any) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(pd.DataFrame, "to_parquet", full_disk)
    with pytest.raises(OSError, match="no space"):
        table.with_operators([timed("new", 1)]).save(tmp_path / "t")
    monkeypatch.undo()
    assert "new" not in LatencyTable.load(tmp_path / "t")
    assert os.listdir(tmp_path) == ["t"]


def test_adding_replaces_and_makes_the_validation_stale(table: LatencyTable) -> None:
    validation = {"mape": 0.04, "within_10": 0.97, "spearman": 0.98, "kendall": 0.9, "networks": 30}
    validated = table.with_header(validation=validation)
    changed = validated.with_operators([timed("conv@8x4x4", 0.5)])
    assert changed.lookup("conv@8x4x4").median_ms == pytest.approx(0.5, rel=0.02)
    assert len(changed.operators) == 2
    assert changed.header["validation"] is None
    assert validated.header["validation"] == validation
    assert validated.lookup("conv@8x4x4").median_ms == pytest.approx(0.2, rel=0.02)


def test_merge(table: LatencyTable) -> None:
    merged = table.merge(table.with_operators([timed("conv@8x4x4", 0.5), timed("new", 1)]))
    assert len(merged.operators) == 3
    assert merged.lookup("conv@8x4x4").median_ms == pytest.approx(0.5, rel=0.02)
    assert merged.header["seconds"] == 3.0
    with pytest.raises(HardwareError, match="threads is 1 here, 2 there"):
        table.merge(table.with_header(threads=2))
    other = Device("another", "cpu").to_json()
    with pytest.raises(HardwareError, match="device is"):
        table.merge(table.with_header(device=other))


def test_an_unknown_key_and_role_are_named(table: LatencyTable) -> None:
    with pytest.raises(HardwareError, match=r"'attention@1' is not in this latency table of 2 operators"):
        table.lookup("attention@1")
    with pytest.raises(HardwareError, match="role must be one of fit, validate, got 'test'"):
        table.with_networks([timed("n", 1)], "test")


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("schema_version", 2, "schema_version is 2, this program knows 1"),
        ("schema_version", 0, "'schema_version' must be at least 1"),
        ("runtime", None, "'runtime' must be str"),
        ("threads", "two", "'threads' must be int"),
        ("threads", True, "'threads' must be int"),
        ("device", {"name": "x"}, "key 'kind'"),
        ("device", {"name": "x", "kind": "toaster"}, "kind must be one of cpu, cuda"),
        ("validation", {"mape": 0.1}, r"'validation.within_10' is missing"),
        ("noise_floor", "low", "'noise_floor' must be"),
    ],
)
def test_a_damaged_header_is_refused(table: LatencyTable, tmp_path: Path, key: str, value: Any, message: str) -> None:
    table.save(tmp_path / "t")
    path = tmp_path / "t" / "header.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), key: value}))
    with pytest.raises(HardwareError, match=rf"header\.json.*{message}"):
        LatencyTable.load(tmp_path / "t")


@pytest.mark.parametrize("key", ["schema_version", "device", "runtime", "precision", "batch", "versions", "validation"])
def test_a_missing_key_is_named(table: LatencyTable, tmp_path: Path, key: str) -> None:
    table.save(tmp_path / "t")
    path = tmp_path / "t" / "header.json"
    header = json.loads(path.read_text())
    del header[key]
    path.write_text(json.dumps(header))
    with pytest.raises(HardwareError, match=f"'{key}' is missing"):
        LatencyTable.load(tmp_path / "t")


def test_damaged_files_are_refused(table: LatencyTable, tmp_path: Path) -> None:
    with pytest.raises(HardwareError, match="no such latency table"):
        LatencyTable.load(tmp_path / "nothing")
    folder = tmp_path / "t"
    table.save(folder)
    good = (folder / "operators.parquet").read_bytes()
    (folder / "operators.parquet").write_bytes(good[: len(good) // 2])
    with pytest.raises(HardwareError, match=r"operators\.parquet: is not a Parquet file"):
        LatencyTable.load(folder)
    table.operators.drop(columns="p90_ms").to_parquet(folder / "operators.parquet")
    with pytest.raises(HardwareError, match=r"operators\.parquet: column 'p90_ms' is missing"):
        LatencyTable.load(folder)
    table.operators.assign(median_ms=[0.1, -1.0]).to_parquet(folder / "operators.parquet")
    with pytest.raises(HardwareError, match=r"operators\.parquet: column 'median_ms' must be finite and above 0"):
        LatencyTable.load(folder)
    table.operators.assign(key="same").to_parquet(folder / "operators.parquet")
    with pytest.raises(HardwareError, match="'same' occurs more than once"):
        LatencyTable.load(folder)
    (folder / "operators.parquet").unlink()
    with pytest.raises(HardwareError, match=r"operators\.parquet: cannot be read"):
        LatencyTable.load(folder)
    (folder / "header.json").write_text("{")
    with pytest.raises(HardwareError, match=r"header\.json: is not JSON"):
        LatencyTable.load(folder)
