"""`nas bench train-recipes`: a table for accuracy predictors that know the recipe too."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from nas.progress import Terminal


def train_recipes(
    job: Annotated[str, typer.Argument(metavar="JOB", help="its data, space and recipe; a packaged job or a file")],
    out: Annotated[Path, typer.Option(help="CSV file for the pairs; one that was begun is gone on with")],
    count: Annotated[int, typer.Option(min=1, help="architectures to train alone, each by a recipe of its own")] = 160,
) -> None:
    """Train architectures alone, each by a variant of the job's recipe, for `nas bench accuracy-predictor --recipe`."""
    from nas.bench.recipes import train_recipes
    from nas.job_file import load_job

    with Terminal(Console(stderr=True)) as progress:
        found = train_recipes(load_job(job), count, out, progress)
    Console().print(f"{found} pairs: {out}", highlight=False, soft_wrap=True)
