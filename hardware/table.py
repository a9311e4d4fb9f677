"""A latency table: what was measured on one device with one runtime, as a directory of plain files.

    header.json         how it was measured, and how well it predicts whole networks
    operators.parquet   one operator a row: its key and the columns of a Measurement
    networks.parquet    whole networks (absent if none): the same, and a role, "fit" or "validate"

Keys are texts given by the caller; nothing here knows what they mean. pandas alone reads the files.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from os import PathLike
from typing import Any

import pandas as pd

from hardware.device import Device
from hardware.errors import HardwareError
from hardware.measurement import MEASUREMENT_COLUMNS, Measurement
from hardware.table_files import (
    NETWORK_COLUMNS,
    OPERATOR_COLUMNS,
    ROLES,
    SCHEMA_VERSION,
    UNKNOWN_COLUMNS,
    check_frame,
    check_header,
    read_table,
    write_table,
)

SAME_IN_A_MERGE = ("runtime", "precision", "threads", "batch", "mode")  # mode: what a call is; absent where it is plain


@dataclass(frozen=True)
class LatencyTable:
    """header, operators and networks as described above. Never changed in place: the methods return new tables.

    `header["validation"]` is None until the table was validated on whole networks it was not fitted to, and None again
    as soon as its measurements change. Raises HardwareError, naming the key, for an illegal header or column.
    """

    header: dict[str, Any]
    operators: pd.DataFrame
    networks: pd.DataFrame

    def __post_init__(self) -> None:
        check_header(self.header, "header")
        check_frame(self.operators, OPERATOR_COLUMNS, "operators")
        check_frame(self.networks, NETWORK_COLUMNS, "networks")

    @classmethod
    def create(
        cls,
        *,
        device: Device,
        runtime: Mapping[str, Any],
        batch: int,
        conditions: Mapping[str, Any] | None = None,
        noise_floor: float | None = None,
        seconds: float = 0.0,
        space: Mapping[str, Any] | None = None,
    ) -> LatencyTable:
        """An empty table. runtime: `Runtime.describe()`; noise_floor: a fraction; seconds: what measuring cost."""
        header = {
            "schema_version": SCHEMA_VERSION,
            "device": device.to_json(),
            "runtime": runtime["runtime"],
            "precision": runtime["precision"],
            "threads": runtime["threads"],
            "batch": batch,
            "versions": dict(runtime["versions"]),
            "options": dict(runtime.get("options") or {}),
            "conditions": dict(conditions or {}),
            "noise_floor": noise_floor,
            "seconds": seconds,
            "validation": None,
            "space": None if space is None else dict(space),
        }
        return cls(header, _frame([], OPERATOR_COLUMNS), _frame([], NETWORK_COLUMNS))

    @property
    def device(self) -> Device:
        """The device it was measured on."""
        return Device.from_json(self.header["device"])

    def __contains__(self, key: str) -> bool:
        return bool((self.operators["key"] == key).any())

    def lookup(self, key: str) -> Measurement:
        """The operator's measurement. Raises HardwareError naming the key when it was not measured."""
        rows = self.operators[self.operators["key"] == key]
        if rows.empty:
            raise HardwareError(f"operator {key!r} is not in this latency table of {len(self.operators)} operators")
        return _measurement(rows.iloc[0])

    def measurements(self) -> dict[str, Measurement]:
        """Every operator's measurement by key: for reading many, where `lookup` would search for each."""
        return {str(row["key"]): _measurement(row) for _, row in self.operators.iterrows()}

    def with_header(self, **changes: Any) -> LatencyTable:
        """The same measurements under a changed header, for example `validation={...}`."""
        return LatencyTable({**self.header, **changes}, self.operators, self.networks)

    def with_operators(self, measurements: Iterable[Measurement]) -> LatencyTable:
        """With these operators added; one that was there already is replaced."""
        rows = [m.to_json() for m in measurements]
        return self._changed(operators=_joined(self.operators, _frame(rows, OPERATOR_COLUMNS)))

    def with_networks(self, measurements: Iterable[Measurement], role: str) -> LatencyTable:
        """With these whole networks added as "fit" or "validate"; one that was there already is replaced."""
        if role not in ROLES:
            raise HardwareError(f"role must be one of {', '.join(ROLES)}, got {role!r}")
        rows = [{**m.to_json(), "role": role} for m in measurements]
        return self._changed(networks=_joined(self.networks, _frame(rows, NETWORK_COLUMNS)))

    def merge(self, other: LatencyTable) -> LatencyTable:
        """Both tables' rows under this one's header; the other's win. Raises HardwareError if made differently."""
        for key in SAME_IN_A_MERGE:
            here, there = self.header.get(key), other.header.get(key)
            if here != there:
                raise HardwareError(f"cannot merge: {key} is {here!r} here, {there!r} there")
        if (self.device.name, self.device.kind) != (other.device.name, other.device.kind):
            raise HardwareError(f"cannot merge: device is {self.device.name!r} here, {other.device.name!r} there")
        merged = self._changed(
            operators=_joined(self.operators, other.operators), networks=_joined(self.networks, other.networks)
        )
        return merged.with_header(seconds=self.header["seconds"] + other.header["seconds"])

    def save(self, path: str | PathLike[str]) -> None:
        """Write the directory; each file is replaced atomically and the header last."""
        write_table(path, self.header, self.operators, self.networks)

    @classmethod
    def load(cls, path: str | PathLike[str]) -> LatencyTable:
        """Read and validate a saved table. Raises HardwareError naming the file and what is wrong in it."""
        header, operators, networks = read_table(path)
        return cls(header, operators, networks)

    def _changed(self, **frames: pd.DataFrame) -> LatencyTable:
        header = {**self.header, "validation": None, "check": None}
        return LatencyTable(header, frames.get("operators", self.operators), frames.get("networks", self.networks))


def _frame(rows: list[dict[str, Any]], columns: dict[str, str]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=list(columns)).astype(columns)


def _joined(old: pd.DataFrame, new: pd.DataFrame) -> pd.DataFrame:
    both = pd.concat([old, new], ignore_index=True) if len(old) else new
    return both.drop_duplicates("key", keep="last").reset_index(drop=True)


def _measurement(row: pd.Series) -> Measurement:
    values = {name: row[name] for name in MEASUREMENT_COLUMNS}
    kinds = {"key": str, "n": int, "calls_per_sample": int, "dirty": bool, "memory_bytes": int}
    known = {name: None if name in UNKNOWN_COLUMNS and math.isnan(value) else value for name, value in values.items()}
    return Measurement(**{name: None if v is None else kinds.get(name, float)(v) for name, v in known.items()})  # type: ignore[arg-type]
