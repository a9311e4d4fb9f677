"""`nas bench proxies`: our zero-cost proxies beside stored ones, and beside accuracy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from nas.options import AsJson
from nas.progress import Terminal


def proxies(
    table: Annotated[
        Path | None, typer.Option(help="CSV of NAS-Bench-Suite-Zero (gzip too): NAS-Bench-201 cells, stored proxies")
    ] = None,
    ranks: Annotated[
        Path | None, typer.Option(help="ranks.csv of `nas bench ranks`: networks that were trained alone")
    ] = None,
    architectures: Annotated[Path | None, typer.Option(help="JSON file with those networks' architectures")] = None,
    job: Annotated[str, typer.Option(help="their job, for its data: a packaged job or a file")] = "quickstart",
    cells: Annotated[int, typer.Option(min=4, help="of the table, drawn at random")] = 200,
    proxies: Annotated[str | None, typer.Option(help="names, e.g. synflow,nwot; all if none")] = None,
    images: Annotated[
        str, typer.Option(help="what the cells see: normal (random numbers), or fashion-mnist")
    ] = "normal",
    seed: Annotated[int, typer.Option(min=0, help="of the draws and the initial weights")] = 0,
    workers: Annotated[int, typer.Option(min=1, help="networks at a time, one thread each if more than one")] = 1,
    out: Annotated[Path | None, typer.Option(help="folder for the values as CSV, and a picture")] = None,
    as_json: AsJson = False,
) -> None:
    """Zero-cost proxies by our code: Spearman's correlation with stored ones, and with accuracy after training."""
    from nas.bench.proxies import bench_cells, bench_networks
    from nas.bench.proxies_study import write_study
    from nas.errors import JobError
    from nas.job_file import load_job
    from predictors.proxies import PROXIES
    from predictors.proxies.score import check_names

    if table is None and ranks is None:
        raise JobError("--table: is missing; legal: a table of NAS-Bench-Suite-Zero, or --ranks with a rank study")
    if ranks is not None and architectures is None:
        raise JobError("--architectures: is missing; legal: a JSON file with the architectures of --ranks")
    names = list(PROXIES) if proxies is None else [name.strip() for name in proxies.split(",")]
    check_names(names)
    found = {}
    with Terminal(Console(stderr=True)) as progress:
        if table is not None:
            found["cells"] = bench_cells(table, names, cells, seed, images, workers, progress)
        if ranks is not None and architectures is not None:
            found["networks"] = bench_networks(ranks, architectures, load_job(job), names, seed, workers, progress)
    if out is not None:
        write_study(found, out)
    rows = [{"of": kind, **row} for kind, (part, _) in found.items() for row in part]
    if as_json:
        print(json.dumps({"rows": [{k: None if v != v else v for k, v in row.items()} for row in rows]}, indent=2))
        return
    shown = Table("of", "proxy", "networks", "with stored", "with accuracy (95 %)", "stored with accuracy", "seconds")
    for row in rows:
        interval = f"{row['accuracy']:.3f} ({row['accuracy_low']:.3f} to {row['accuracy_high']:.3f})"
        stored = [f"{row[name]:.3f}" if name in row else "" for name in ("stored", "stored_accuracy")]
        exact = f"; {row['equal']:.0%} equal" if "equal" in row else ""
        shown.add_row(
            row["of"],
            row["proxy"],
            str(row["networks"]),
            stored[0] + exact,
            interval,
            stored[1],
            f"{row['seconds']:.2f}",
        )
    Console().print(shown)
