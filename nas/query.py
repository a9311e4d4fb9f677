"""What people ask without running a job: latencies, spaces, devices, what works here. Lists of plain rows, then printed."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from hardware.device import Device
from hardware.errors import HardwareError
from hardware.runtimes import get_runtime, runtime_names
from hardware.table import LatencyTable
from nas.errors import JobError
from predictors import LatencyPredictor
from search_spaces import Architecture, SearchSpace, cost, get_space, make_space


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


def tables_of(path: Path) -> dict[str, LatencyTable]:
    """Name -> latency table: the one in ``path``, or all of a run directory.

    Raises:
        JobError: there is none; HardwareError: it cannot be read.
    """
    if (path / "header.json").exists():
        return {path.name: LatencyTable.load(path)}
    found = sorted(folder.parent for folder in (path / "tables").glob("*/header.json"))
    if not found:
        raise JobError(f"--table: got {str(path)!r}; legal: a latency table (`nas profile`) or a run directory")
    return {folder.name: LatencyTable.load(folder) for folder in found}


def latency_rows(architectures: Sequence[Architecture], tables: Sequence[Path]) -> list[dict[str, Any]]:
    """One row for each architecture and device: hash, device, runtime, latency_ms, low_ms and high_ms (90 %), mape of the
    table on networks it had not seen, macs."""
    rows = []
    for path in tables:
        for name, table in tables_of(path).items():
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


def profile_space(
    space_name: str,
    runtime: str,
    mode: str,
    out: Path,
    settings: Mapping[str, int],
    shape: Mapping[str, Any],
    dry_run: bool,
    console: Console,
) -> None:
    """Measures and saves a latency table; see `nas profile`."""
    from nas.profile import MODES, measure_table, plan_profile
    from nas.progress import Terminal
    from nas.session import validation_text

    if mode not in MODES:
        raise JobError(f"--mode: got {mode!r}; legal: {', '.join(MODES)}")
    definition = get_space(space_name).definition
    space = make_space({**definition, **{key: value for key, value in shape.items() if value}})
    chosen = get_runtime(runtime, "fp32", settings["threads"])
    chosen.require()
    if out.exists() and not (out / "header.json").exists() and (not out.is_dir() or any(out.iterdir())):
        raise JobError(f"--out: {out} exists and is no latency table; legal: a new folder, or a table to replace")
    plan = plan_profile(space, settings["operators"], settings["fit"], settings["validate"])
    if dry_run:
        console.print(
            f"{space.name}: {len(plan.operators)} of {len(space.specs())} operator specs and "
            f"{len(plan.fit)} + {len(plan.validate)} whole networks on {runtime}, {settings['threads']} thread(s)"
        )
        return
    with Terminal(console) as progress:
        table = measure_table(
            space, runtime, plan, progress, threads=settings["threads"], batch=settings["batch"], mode=mode, workers=2
        )
    table.save(out)
    console.print(f"{runtime}: {validation_text(table)}", highlight=False)
    console.print(f"table: {out}", soft_wrap=True, highlight=False)


def print_devices(as_json: bool, console: Console) -> None:
    """This machine, and for every runtime whether it works here or the command that installs it."""
    found = []
    for kind in ("cpu", "cuda"):
        try:
            found.append(Device.local(kind).to_json())
        except HardwareError:
            continue
    runtimes: list[dict[str, Any]] = []
    for name in runtime_names():
        usable, text = get_runtime(name).availability()
        runtimes.append({"runtime": name, "usable": usable, "detail": text})
    if as_json:
        print(json.dumps({"devices": found, "runtimes": runtimes}, indent=2))
        return
    for device in found:
        facts = ", ".join(f"{k} {v}" for k, v in device["description"].items() if isinstance(v, str | int | float))
        console.print(f"{device['kind']}: {device['name']} ({facts})", highlight=False, soft_wrap=True)
    table = Table("runtime", "usable here", "version, or what is missing")
    for row in runtimes:
        table.add_row(row["runtime"], "yes" if row["usable"] else "no", row["detail"])
    console.print(table)


def print_doctor(as_json: bool, console: Console) -> bool:
    """Checks by doing: packages, an operator in every runtime that is there, the job files. True if nothing is broken."""
    checks: list[dict[str, Any]] = [{"check": "python", "ok": True, "detail": platform.python_version()}]
    for package in ("torch", "numpy", "pandas", "scikit-learn", "lightgbm", "optuna", "moocore", "safetensors"):
        checks.append({"check": package, "ok": True, "detail": metadata.version(package)})
    for package in ("onnx", "onnxscript", "onnxruntime", "executorch", "torchao", "ray", "matplotlib"):
        try:
            checks.append({"check": f"{package} (optional)", "ok": True, "detail": metadata.version(package)})
        except metadata.PackageNotFoundError:
            checks.append({"check": f"{package} (optional)", "ok": True, "detail": "not installed"})
    checks += [_try_runtime(name) for name in runtime_names()]
    if as_json:
        print(json.dumps(checks, indent=2))
    else:
        table = Table("check", "", "detail")
        for row in checks:
            table.add_row(row["check"], "ok" if row["ok"] else "BROKEN", row["detail"])
        console.print(table)
    return all(row["ok"] for row in checks)


def _try_runtime(name: str) -> dict[str, Any]:
    """Runs one small network in a runtime and compares it with PyTorch."""
    import torch

    from search_spaces import build_network

    runtime = get_runtime(name)
    usable, detail = runtime.availability()
    if not usable:
        return {"check": f"runtime {name}", "ok": True, "detail": f"not usable here: {detail}"}
    space = make_space({"name": "hybrid-vision", "preset": "tiny", "resolutions": [8]})
    network = build_network(space.architecture(space.sample(1, np.random.default_rng(0))[0])).eval()
    x = torch.randn(1, 3, 8, 8)
    try:
        with torch.no_grad():
            error = float(
                (torch.as_tensor(np.asarray(runtime.prepare(network, (x,))())) - network.cpu()(x)).abs().max()
            )
    except (HardwareError, RuntimeError) as problem:
        return {"check": f"runtime {name}", "ok": False, "detail": str(problem)}
    return {"check": f"runtime {name}", "ok": error < 1e-4, "detail": f"{detail}; differs from PyTorch by {error:.1g}"}
