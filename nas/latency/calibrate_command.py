"""`nas latency --calibrate`: what was asked for, the plan or the measurements, and the answer."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console

from hardware.hosts import LOCAL, Host, open_host
from hardware.table import LatencyTable
from nas.errors import JobError
from nas.latency.calibrate import CalibrationRequest, calibrate, is_finished, opened, plan_calibration
from nas.latency.calibration import Calibration, calibrated_rows, is_calibration
from nas.latency.known import given_tables, shipped_tables
from nas.latency.query import print_latency, tables_of
from nas.progress import Progress, Terminal
from predictors.translation import moved
from search_spaces import Architecture, SearchSpace, cost

RUNTIME = "onnxruntime"  # runs on this machine and on devices reached by ssh or adb


@dataclass(frozen=True)
class CalibrationOptions:
    """The options of `nas latency --calibrate` as they came; None where an option was not given."""

    count: int
    validate: int | None
    device: str | None
    runtime: str | None
    precision: str | None
    threads: int | None
    out: Path | None
    tables: Sequence[Path]


def calibrate_and_answer(
    options: CalibrationOptions, architectures: Sequence[Architecture], dry_run: bool, as_json: bool
) -> None:
    """Calibrates a device (or says how it would) and prints the latencies of ``architectures`` on it.

    Raises:
        JobError, PredictorError, HardwareError: an option is illegal, before anything is measured or written; or the device
            refuses too much.
    """
    console = Console()
    with Terminal(Console(stderr=True) if as_json else console) as progress:
        device = options.device or LOCAL
        with open_host(device, progress.say) as host:
            request = _request(options, device, architectures, progress)
            if dry_run:
                _print_plan(request, host, progress)
                return
            done = calibrate(request, host, progress)
    rows = calibrated_rows(architectures, done)
    if as_json:
        header = done.header.model_dump(mode="json", by_alias=True)
        kept = {
            "space",
            "device",
            "runtime",
            "precision",
            "threads",
            "batch",
            "mode",
            "refused",
            "left_out",
            "validation",
        }
        summary = {key: header[key] for key in header if key in kept} | {
            "folder": str(done.path),
            "known": list(done.tables),
        }
        print(json.dumps({"calibration": summary, "rows": rows}, indent=2))
        return
    for line in summary_lines(done):
        console.print(line, highlight=False, soft_wrap=True)
    if rows:
        print_latency(rows, False, console)


def summary_lines(calibration: Calibration) -> list[str]:
    """How far to trust a calibration, and where it is."""
    header = calibration.header
    lines = [f"{header.runtime} on {header.device['name']}: {header.count} networks measured"]
    for found, what in ((header.left_out, "each of them left out"), (header.validation, "other networks measured")):
        if found is not None and found["mape"] is not None:
            text = f"{what}: {found['networks']} networks, {found['mape']:.1%} off on average"
            text += f", {found['within_10']:.0%} within 10 %, {found['coverage_90']:.0%} inside the 90 % interval"
            lines.append(text + ("" if found["spearman"] is None else f", Spearman {found['spearman']:.3f}"))
    return [
        *lines,
        f"calibration: {calibration.path} (ask it again with `nas latency ... --table {calibration.path}`; a job takes it "
        "as the table of a device)",
    ]


def _request(
    options: CalibrationOptions, device: str, architectures: Sequence[Architecture], progress: Progress
) -> CalibrationRequest:
    """What was asked for, checked as far as no device is needed."""
    runtime, precision = options.runtime or RUNTIME, options.precision or "fp32"
    out = options.out or Path("calibrations") / f"{device}-{runtime}-{precision}"
    space, known = _known(options.tables, out, architectures, progress)
    for architecture in architectures:
        moved(architecture, space)
    return CalibrationRequest(
        space, known, out, runtime, precision, options.threads or 1, options.count, options.validate or 0
    )


def _known(
    paths: Sequence[Path], out: Path, architectures: Sequence[Architecture], progress: Progress
) -> tuple[SearchSpace, dict[str, LatencyTable]]:
    """The space and the known tables: those of ``paths``, those that a calibration in ``out`` began with, or the project's."""
    if not paths and is_calibration(out):
        begun = Calibration.load(out)
        return begun.space, dict(begun.tables)
    if not paths:
        return shipped_tables(architectures[0].space if architectures else None, progress.say)
    tables: dict[str, LatencyTable] = {}
    for path in paths:
        if is_calibration(path):
            raise JobError(f"--table: {path} is a calibration; legal: measured tables of known devices (`nas profile`)")
        for name, table in tables_of(path.resolve()).items():
            name = next(n for n in (name, *(f"{name}-{i}" for i in range(2, 99))) if n not in tables)
            tables[name] = table
    return given_tables(tables)


def _print_plan(request: CalibrationRequest, host: Host, progress: Progress) -> None:
    begun = opened(request, host)
    plan = plan_calibration(request)
    first = next(iter(request.known.values())).header
    lines = [
        f"{request.space.name} on {host.name}: {request.runtime}, {request.precision}, {request.threads} thread(s), "
        f"batch {first['batch']}, {first.get('mode', 'forward')}",
        f"known: {', '.join(request.known)}",
    ]
    if begun is None:
        macs = np.array([sum(cost(spec).macs for spec in one.specs) for one in plan.chosen]) / 1e6
        lines.append(
            f"would measure {len(plan.chosen)} of {len(plan.pool)} networks, {macs.min():.3g} to {macs.max():.3g} M MACs: "
            + ", ".join(one.hash for one in plan.chosen)
        )
        lines.append(f"would measure {request.validate} more to judge the predictions")
    elif is_finished(begun, request):
        lines.append(f"{request.out} is finished: nothing would be measured")
    else:
        there = {role: len(begun.of(role)[0]) for role in ("fit", "validate")}
        left = {
            "fit": max(request.count, begun.header.count) - there["fit"],
            "validate": max(request.validate, begun.header.validate_count) - there["validate"],
        }
        lines.append(
            f"would measure {left['fit']} more networks to fit and {left['validate']} to judge, and keep {there}"
        )
    for line in (*lines, f"folder: {request.out}"):
        progress.say(line)
