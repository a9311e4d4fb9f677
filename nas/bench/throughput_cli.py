"""`nas bench throughput`: how many architectures a second predictors answer for."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from nas.bench.predictors_cli import Out, print_rows, write_rows
from nas.options import AsJson
from nas.progress import Terminal


def throughput(
    table: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[TABLE]...", help="latency tables of one space; those of the project if none"),
    ] = None,
    rows: Annotated[int, typer.Option(min=1, help="architectures asked about at once")] = 100_000,
    train: Annotated[int, typer.Option(min=10, help="architectures that a predictor is fitted to")] = 400,
    seed: Annotated[int, typer.Option(min=0, help="of the random draws")] = 0,
    out: Out = None,
    as_json: AsJson = False,
) -> None:
    """Architectures a second, on one thread, of every predictor: of accuracy, and of latency."""
    from hardware.table import LatencyTable
    from nas.bench.throughput import bench_throughput
    from nas.latency.known import SHIPPED

    paths = table or sorted(path.parent for path in SHIPPED.glob("*/*/*/header.json"))
    with Terminal(Console(stderr=True)) as progress:
        found = bench_throughput({str(path): LatencyTable.load(path) for path in paths}, rows, train, seed, progress)
    write_rows(found, out, digits=6)
    if as_json:
        print_rows(found)
        return
    shown = Table("tells", "predictor", "fitted to", "rows", "seconds", "architectures a second")
    for row in found.to_dict("records"):
        figures = [f"{row['seconds']:.3g}", f"{row['predicted_per_s']:,.0f}"]
        shown.add_row(row["tells"], row["predictor"], str(row["fitted_to"]), f"{row['rows']:,}", *figures)
    Console().print(shown)
