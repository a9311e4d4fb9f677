"""What people ask of latency tables without running a job: how fast architectures are."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from hardware.table import LatencyTable
from nas.errors import JobError
from nas.latency.calibration import Calibration, calibrated_rows, is_calibration
from predictors import LatencyPredictor
from search_spaces import Architecture, SearchSpace, cost


def read_architectures(path: Path) -> list[Architecture]:
    """The architectures of a JSON file: one object or a list of them.

    Raises:
        JobError: the file is missing, is no JSON, or holds no architecture; SpaceError: one of them is illegal.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise JobError(f"{path}: does not exist; legal: a JSON file with an architecture or a list of them") from None
    except (OSError, ValueError, RecursionError) as error:
        raise JobError(f"{path}: cannot be read as JSON: {error}") from None
    items = data if isinstance(data, list) else [data]
    if not items:
        raise JobError(f"{path}: holds no architecture; legal: one object or a list of them")
    return [Architecture.from_json(item) for item in items]


def folders_of(path: Path) -> dict[str, Path]:
    """Name -> folder of a latency table or calibration: ``path`` itself, or all of a run directory.

    Raises:
        JobError: there is none.
    """
    if (path / "header.json").exists() or is_calibration(path):
        return {path.name: path}
    found = [
        folder
        for folder in sorted(path.glob("tables/*"))
        if (folder / "header.json").exists() or is_calibration(folder)
    ]
    if not found:
        legal = "a latency table (`nas profile`), a calibration (`nas latency --calibrate`) or a run directory"
        raise JobError(f"--table: got {str(path)!r}; legal: {legal}")
    return {folder.name: folder for folder in found}


def tables_of(path: Path) -> dict[str, LatencyTable]:
    """Name -> latency table: the one in ``path``, or all of a run directory.

    Raises:
        JobError: there is none; HardwareError: it cannot be read.
    """
    found = {name: folder for name, folder in folders_of(path).items() if not is_calibration(folder)}
    if not found:
        raise JobError(f"--table: {path} holds calibrations alone; legal: a latency table that `nas profile` measured")
    return {name: LatencyTable.load(folder) for name, folder in found.items()}


def latency_rows(architectures: Sequence[Architecture], tables: Sequence[Path]) -> list[dict[str, Any]]:
    """One row for each architecture and device: hash, device, runtime, latency_ms, low_ms and high_ms (90 %), mape of the
    table on networks it had not seen, macs.

    Raises:
        JobError: ``tables`` holds none, or one of another space; see `Calibration.predictor` for unfinished ones.
    """
    rows = []
    for path in tables:
        for name, folder in folders_of(path).items():
            if is_calibration(folder):
                rows += calibrated_rows(architectures, Calibration.load(folder))
                continue
            table = LatencyTable.load(folder)
            predictors: dict[str, LatencyPredictor] = {}
            for architecture in architectures:
                key = json.dumps(architecture.space.definition, sort_keys=True)
                if key not in predictors:
                    _check_space(architecture.space, table, name)
                    predictors[key] = LatencyPredictor(architecture.space, table)
                found = predictors[key].predict_one(architecture)
                interval = [None if np.isnan(v) else v for v in (found.low_ms, found.high_ms)]
                rows.append(
                    {
                        "hash": architecture.hash,
                        "device": name,
                        "runtime": table.header["runtime"],
                        "mode": table.header.get("mode", "forward"),
                        "latency_ms": found.mean_ms,
                        "low_ms": interval[0],
                        "high_ms": interval[1],
                        "table_mape": (table.header["validation"] or {}).get("mape"),
                        "macs": sum(cost(spec).macs for spec in architecture.specs),
                    }
                )
    return rows


def _check_space(space: SearchSpace, table: LatencyTable, name: str) -> None:
    stored = table.header.get("space")
    if stored is not None and {k: stored.get(k) for k in ("name", "preset")} != {
        k: space.definition.get(k) for k in ("name", "preset")
    }:
        legal = f"{stored.get('name')}/{stored.get('preset')}"
        raise JobError(f"table {name}: was measured for {legal}; got an architecture of {space.name}")


def print_latency(rows: Sequence[Mapping[str, Any]], as_json: bool, console: Console) -> None:
    """The rows of `latency_rows`, as JSON or as a table."""
    if as_json:
        print(json.dumps(list(rows), indent=2))
        return
    table = Table("architecture", "device", "runtime", "mode", "latency", "90 % interval", "table error", "MACs")
    for row in rows:
        interval = "unknown" if row["low_ms"] is None else f"{row['low_ms']:.3f} to {row['high_ms']:.3f} ms"
        error = "not validated" if row["table_mape"] is None else f"{row['table_mape']:.1%}"
        cells = [
            row["hash"],
            row["device"],
            row["runtime"],
            row["mode"],
            f"{row['latency_ms']:.3f} ms",
            interval,
            error,
        ]
        table.add_row(*cells, f"{row['macs'] / 1e6:.2f} M")
    console.print(table)
