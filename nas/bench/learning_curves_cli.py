"""`nas bench train-curves` and `nas bench learning-curves`: trainings stopped early, and where they would have ended."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from nas.bench.predictors_cli import print_rows, words, write_rows
from nas.options import AsJson
from nas.progress import Terminal


def train_curves(
    job: Annotated[str, typer.Argument(metavar="JOB", help="its data, space and recipe; a packaged job or a file")],
    out: Annotated[Path, typer.Option(help="CSV file for the curves; one that was begun is gone on with")],
    count: Annotated[int, typer.Option(min=1, help="architectures to train alone, spread over families and MACs")] = 40,
) -> None:
    """Train architectures alone and keep what each scores on the search split after every epoch."""
    from nas.bench.curves import train_curves
    from nas.job_file import load_job

    with Terminal(Console(stderr=True)) as progress:
        found = train_curves(load_job(job), count, out, progress)
    Console().print(f"{found} curves: {out}", highlight=False, soft_wrap=True)


def learning_curves(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV (gzip too) with columns curve, epoch, value")],
    shares: Annotated[str, typer.Option(help="of the training that is seen")] = "0.1,0.25,0.5",
    out: Annotated[Path | None, typer.Option(help="CSV file for the rows")] = None,
    plot: Annotated[Path | None, typer.Option(help="PNG file for a picture of the rows")] = None,
    as_json: AsJson = False,
) -> None:
    """How well curves cut off early rank networks by their end: extrapolated, beside the last value seen."""
    from nas.bench.learning_curves import bench_learning_curves, read_curves

    rows = bench_learning_curves(read_curves(file), _shares(shares))
    write_rows(rows, out)
    if plot is not None:
        from nas.bench.learning_curves_figure import draw

        draw(rows, plot)
    if as_json:
        print_rows(rows)
        return
    table = Table("seen", "predictor", "Kendall (95 %)", "better than last seen", "error (std)", "90 % intervals hold")
    for row in rows.to_dict("records"):
        covered = "" if row["coverage_90"] != row["coverage_90"] else f"{row['coverage_90']:.0%}"
        table.add_row(
            f"{row['share']:.0%}",
            row["predictor"],
            f"{row['kendall']:.3f} ({row['kendall_low']:.3f} to {row['kendall_high']:.3f})",
            f"{row['better']:.0%}",
            f"{row['error_mean']:.4f} ({row['error_std']:.4f})",
            covered,
        )
    Console().print(table)


def _shares(text: str) -> list[float]:
    from nas.errors import JobError

    try:
        found = [float(word) for word in words(text)]
    except ValueError:
        found = []
    if not found or not all(0 < share < 1 for share in found):
        raise JobError(f"--shares: got {text!r}; legal: numbers above 0 and below 1, separated by commas")
    return sorted(set(found))
