"""`nas bench in-device`: latency predictors on one device at a time, on a table of the user's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from nas.bench.predictors_cli import Operators, Out, Seeds, SpaceName, TableFile, print_rows, words, write_rows
from nas.options import AsJson
from nas.progress import Terminal

if TYPE_CHECKING:
    import pandas as pd

FIGURES = ("spearman", "within_5", "within_10", "mape", "certain_over_rest")


def in_device(
    table: TableFile,
    target: Annotated[
        str, typer.Option(help="columns of latencies, one a device; a+b is a sum of columns, a/b a ratio")
    ],
    operators: Operators = None,
    space: SpaceName = None,
    features: Annotated[
        str | None,
        typer.Option(help="instead: its columns of numbers that describe a network; * stands for any letters"),
    ] = None,
    device: Annotated[
        str | None, typer.Option(help="columns that name the device, where each row is of one, e.g. device,precision")
    ] = None,
    train: Annotated[int, typer.Option(min=10, help="architectures learnt from")] = 900,
    test: Annotated[int | None, typer.Option(min=10, help="other architectures to predict; all if none")] = None,
    group: Annotated[
        str | None, typer.Option(help="instead: hold out whole groups, the rows of one value of this column, in folds")
    ] = None,
    folds: Annotated[int, typer.Option(min=2, help="parts of the groups, each held out in turn")] = 10,
    predictors: Annotated[str, typer.Option(help="names, e.g. stacked,boosted")] = "stacked",
    seeds: Seeds = 5,
    out: Out = None,
    as_json: AsJson = False,
) -> None:
    """How well latency is predicted on a device from architectures measured on it, and how certain that is."""
    from nas.bench.in_device import Split, bench_in_device
    from nas.bench.in_device_table import read_architectures, read_devices

    read = read_architectures(table, words(operators), space, words(features))
    devices, groups = read_devices(read.frame, words(target), words(device), group)
    split = Split(train, test, groups, folds)
    with Terminal(Console(stderr=True)) as progress:
        rows = bench_in_device(read, devices, split, seeds, words(predictors), progress)
    write_rows(rows, out)
    if as_json:
        print_rows(rows)
        return
    show(rows)


def show(rows: pd.DataFrame) -> None:
    """The rows as a table of a few figures with their spread."""
    shown = Table("predictor", "target", "train", *FIGURES, "coverage of 90 %")
    for row in rows.to_dict("records"):
        values = [f"{row[f'{name}_mean']:.3f} ({row[f'{name}_std']:.3f})" for name in FIGURES]
        shown.add_row(row["predictor"], row["target"], str(row["train"]), *values, f"{row['coverage_90']:.0%}")
    Console().print(shown)
