"""`nas bench timm-models`: a table of timm's models, with what they consist of beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from nas.bench.predictors_cli import TableFile
from nas.progress import Terminal


def timm_models(
    table: TableFile,
    out: Annotated[Path, typer.Option(help="CSV file, gzip if its name ends so, for the table with the new columns")],
    model: Annotated[str, typer.Option(help="its column of timm's names, with or without a tag after a dot")] = "model",
    size: Annotated[str, typer.Option(help="its column of the image's side in pixels")] = "infer_img_size",
) -> None:
    """Add to a table of timm's models their family and the work of each kind of operator, for `nas bench in-device`."""
    from nas.bench.tabular import read_frame
    from nas.bench.timm_models import add_static_columns

    frame = read_frame(table)
    with Terminal(Console(stderr=True)) as progress:
        found, failed = add_static_columns(frame, model, size, progress)
    out.parent.mkdir(parents=True, exist_ok=True)
    found.to_csv(out, index=False)
    if failed:
        print(f"{len(frame) - len(found)} rows left out, which timm cannot build: {', '.join(failed)}")
    print(f"{out}: {len(found)} rows, {found['family'].nunique()} families")
