"""`nas bench calibrate`: how well `nas latency --calibrate` would do for runtimes whose tables are known."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from nas.options import AsJson
from nas.progress import Terminal


def calibrate(
    table: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[TABLE]...", help="latency tables of one space; those of the project if none"),
    ] = None,
    samples: Annotated[str, typer.Option(help="networks measured on the new device, e.g. 5,10,20")] = "5,10,20",
    seeds: Annotated[int, typer.Option(min=1, help="draws of random networks")] = 10,
    out: Annotated[Path | None, typer.Option(help="folder for the rows as CSV, and a picture")] = None,
    as_json: AsJson = False,
) -> None:
    """Transfer between runtimes: each table in turn is taken away, and told by a few of its networks and the other tables."""
    from hardware.table import LatencyTable
    from nas.bench.calibration import bench_calibration, write_calibration
    from nas.bench.predictors_cli import numbers, print_rows
    from nas.errors import JobError
    from nas.latency.known import SHIPPED

    counts = numbers(samples, "--samples", 3)
    if out is not None and out.exists() and not out.is_dir():
        raise JobError(f"--out: {out} is a file; legal: a folder")
    paths = table or sorted(path.parent for path in SHIPPED.glob("*/*/*/header.json"))
    if len({path.name for path in paths}) < len(paths):
        raise JobError("TABLE: two have the same name; legal: folders of different names")
    with Terminal(Console(stderr=True)) as progress:
        rows = bench_calibration({path.name: LatencyTable.load(path) for path in paths}, counts, seeds, progress)
    if out is not None:
        write_calibration(rows, out)
    if as_json:
        print_rows(rows)
        return
    shown = Table("target", "method", "networks", "chosen", "spearman", "kendall", "MAPE", "within 10 %", "in 90 %")
    for row in rows.to_dict("records"):
        ranks = [f"{row[f'{name}_mean']:.3f} ({row[f'{name}_std']:.3f})" for name in ("spearman", "kendall")]
        shares = [f"{row[f'{name}_mean']:.0%} ({row[f'{name}_std']:.0%})" for name in ("mape", "within_10")]
        names = [row["target"], row["method"], str(row["samples"]), "yes" if row["chosen"] else "no"]
        shown.add_row(*names, *ranks, *shares, f"{row['coverage_90_mean']:.0%}")
    Console().print(shown)
