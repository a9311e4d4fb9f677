"""The files of a latency table: their schema, writing them atomically, and reading them with every check."""

from __future__ import annotations

import json
import math
import os
import shutil
import tempfile
from os import PathLike
from pathlib import Path
from typing import Any

import pandas as pd

from hardware.device import Device
from hardware.errors import HardwareError
from hardware.measurement import MEASUREMENT_COLUMNS

SCHEMA_VERSION = 1
ROLES = ("fit", "validate")
HEADER, OPERATORS, NETWORKS = "header.json", "operators.parquet", "networks.parquet"

_KINDS = {"key": "str", "n": "int64", "calls_per_sample": "int64", "dirty": "bool"}
OPERATOR_COLUMNS: dict[str, str] = {name: _KINDS.get(name, "float64") for name in MEASUREMENT_COLUMNS}
UNKNOWN_COLUMNS = ("memory_bytes", "energy_joules")  # nan where unknown; absent in older tables
NETWORK_COLUMNS: dict[str, str] = {"key": "str", "role": "str", **OPERATOR_COLUMNS}

_NUMBER = (int, float)
_HEADER_TYPES: dict[str, tuple[type, ...]] = {
    "schema_version": (int,),
    "device": (dict,),
    "runtime": (str,),
    "precision": (str,),
    "threads": (int,),
    "batch": (int,),
    "versions": (dict,),
    "conditions": (dict,),
    "noise_floor": (*_NUMBER, type(None)),
    "seconds": _NUMBER,
    "validation": (dict, type(None)),
    "space": (dict, type(None)),
}
VERDICTS = ("true", "drifted", "stale")
_VALIDATION_KEYS = ("mape", "within_10", "spearman", "kendall", "networks")


def check_header(header: Any, where: str) -> None:
    """Raise HardwareError, naming `where` and the key, unless the header is legal."""
    if not isinstance(header, dict):
        raise HardwareError(f"{where}: must be an object of keys, got {type(header).__name__}")
    version = header.get("schema_version")
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise HardwareError(
            f"{where}: schema_version is {version}, this program knows {SCHEMA_VERSION} at most; a newer one wrote it"
        )
    for key, types in _HEADER_TYPES.items():
        if key not in header:
            raise HardwareError(f"{where}: key {key!r} is missing")
        value = header[key]
        if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
            legal = " or ".join("null" if kind is type(None) else kind.__name__ for kind in types)
            raise HardwareError(f"{where}: key {key!r} must be {legal}, got {value!r}")
    for key in ("schema_version", "threads", "batch"):
        if header[key] < 1:
            raise HardwareError(f"{where}: key {key!r} must be at least 1, got {header[key]}")
    check = header.get("check")
    if check is not None and not (
        isinstance(check, dict)
        and check.get("verdict") in VERDICTS
        and isinstance(check.get("drift"), _NUMBER)
        and isinstance(check.get("changed"), list)
        and isinstance(check.get("time_utc"), str)
    ):
        raise HardwareError(f"{where}: key 'check' must be what `nas profile --check` writes, got {check!r}")
    try:
        Device.from_json(header["device"])
    except HardwareError as error:
        raise HardwareError(f"{where}: key 'device': {error}") from error
    for key in _VALIDATION_KEYS if header["validation"] is not None else ():
        value = header["validation"].get(key)
        if key not in header["validation"]:
            raise HardwareError(f"{where}: key 'validation.{key}' is missing")
        # A rank correlation of constant predictions does not exist, and null says so.
        number = isinstance(value, _NUMBER) and not isinstance(value, bool) and math.isfinite(value)
        if value is not None and not number:
            raise HardwareError(f"{where}: key 'validation.{key}' must be a number or null, got {value!r}")


def check_frame(frame: pd.DataFrame, columns: dict[str, str], where: str) -> None:
    """Raise HardwareError, naming `where` and the column, unless the rows are legal measurements."""
    for name, kind in columns.items():
        if name not in frame.columns:
            raise HardwareError(f"{where}: column {name!r} is missing")
        column = frame[name]
        if kind == "str":
            legal = bool(column.map(lambda value: isinstance(value, str)).all())
        else:
            legal = str(column.dtype) == kind
        if not legal:
            raise HardwareError(f"{where}: column {name!r} must be {kind}, got {column.dtype}")
        if name.endswith("_ms") and name != "std_ms" and not ((column > 0) & (column < math.inf)).all():
            raise HardwareError(f"{where}: column {name!r} must be finite and above 0 in every row")
    repeated = frame["key"][frame["key"].duplicated()]
    if len(repeated):
        raise HardwareError(f"{where}: key {repeated.iloc[0]!r} occurs more than once")
    if "role" in columns and not frame["role"].isin(ROLES).all():
        raise HardwareError(f"{where}: column 'role' must hold only {' or '.join(ROLES)}")


def write_table(
    path: str | PathLike[str], header: dict[str, Any], operators: pd.DataFrame, networks: pd.DataFrame
) -> None:
    """Write all files beside `path`, then move each into place, the header last: a table with a header is whole."""
    target = Path(path)
    if target.exists() and not target.is_dir():
        raise HardwareError(f"{target}: a latency table is a directory, but this is a file")
    try:
        text = json.dumps(header, indent=2, allow_nan=False) + "\n"
    except (TypeError, ValueError) as error:
        raise HardwareError(f"{target}: header cannot be written as JSON: {error}") from error
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}."))
    try:
        operators.to_parquet(temporary / OPERATORS, index=False)
        networks.to_parquet(temporary / NETWORKS, index=False)
        (temporary / HEADER).write_text(text)
        target.mkdir(exist_ok=True)
        os.replace(temporary / OPERATORS, target / OPERATORS)
        if len(networks):
            os.replace(temporary / NETWORKS, target / NETWORKS)
        else:
            (target / NETWORKS).unlink(missing_ok=True)
        os.replace(temporary / HEADER, target / HEADER)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def read_table(path: str | PathLike[str]) -> tuple[dict[str, Any], pd.DataFrame, pd.DataFrame]:
    """(header, operators, networks), all checked; networks is an empty frame where there is no such file."""
    folder = Path(path)
    if not folder.is_dir():
        raise HardwareError(f"{folder}: no such latency table (a directory with {HEADER} and {OPERATORS})")
    try:
        header = json.loads((folder / HEADER).read_text())
    except OSError as error:
        raise HardwareError(f"{folder / HEADER}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise HardwareError(f"{folder / HEADER}: is not JSON: {error}") from error
    check_header(header, str(folder / HEADER))
    operators = _read_parquet(folder / OPERATORS, OPERATOR_COLUMNS)
    if (folder / NETWORKS).exists():
        networks = _read_parquet(folder / NETWORKS, NETWORK_COLUMNS)
    else:
        networks = pd.DataFrame(columns=list(NETWORK_COLUMNS)).astype(NETWORK_COLUMNS)
    return header, operators, networks


def _read_parquet(path: Path, columns: dict[str, str]) -> pd.DataFrame:
    try:
        frame = pd.read_parquet(path)
    except OSError as error:
        raise HardwareError(f"{path}: cannot be read: {error}") from error
    except ValueError as error:  # pyarrow's ArrowInvalid is one
        raise HardwareError(f"{path}: is not a Parquet file: {error}") from error
    frame = frame.assign(**{name: math.nan for name in UNKNOWN_COLUMNS if name not in frame.columns})
    check_frame(frame, columns, str(path))
    return frame
