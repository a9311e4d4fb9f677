"""`nas bench accuracy-predictor` and `nas bench latency-transfer`: predictors on a table of the user's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from nas.options import AsJson
from nas.progress import Terminal

if TYPE_CHECKING:
    import pandas as pd

TableFile = Annotated[Path, typer.Option("--table", help="CSV (gzip too) or Parquet file, an architecture a row")]
Operators = Annotated[str | None, typer.Option(help="its columns of choices, e.g. e01,e02,e12")]
SpaceName = Annotated[
    str | None,
    typer.Option(help="what the choices are: nas-bench-201, transnas-micro, nas-bench-macro, or a space of ours"),
]
Predictors = Annotated[str | None, typer.Option(help="names, e.g. stacked,forest; all if none")]
Seeds = Annotated[int, typer.Option(min=1, help="draws of the architectures learnt from")]
Out = Annotated[Path | None, typer.Option(help="CSV file for the rows")]
KNOWN_OF_RUN = 200  # random architectures of each restricted space


def accuracy_predictor(
    table: Annotated[
        Path | None, typer.Option("--table", help="CSV (gzip too) or Parquet file, an architecture a row")
    ] = None,
    run: Annotated[
        Path | None,
        typer.Option("--run", help="or a trained run: random architectures, scored with its supernet; kept in it"),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(help="columns to predict, larger ones better, e.g. c10_test,c100_test; a run's metric if none"),
    ] = None,
    train: Annotated[str, typer.Option(help="architectures learnt from, e.g. 100,400")] = "50,100,200,400",
    operators: Operators = None,
    space: SpaceName = None,
    recipe: Annotated[
        str | None,
        typer.Option(help="columns of the recipe that each was trained by, told beside it, e.g. epochs,lr,optimizer"),
    ] = None,
    predictors: Predictors = None,
    seeds: Seeds = 10,
    test: Annotated[
        int | None, typer.Option(min=10, help="other architectures to predict; 3000 of a table, 200 of a run if none")
    ] = None,
    known: Annotated[
        str | None,
        typer.Option(
            help="what encoders learn first, and are compared with themselves: columns of the table, e.g. c10_test, "
            "restricted spaces of the run, e.g. conv, or another table's column, FILE:SPACE:COLUMN"
        ),
    ] = None,
    out: Out = None,
    as_json: AsJson = False,
) -> None:
    """How well accuracy predictors rank architectures of a table, or of a run, that they were not trained on."""
    from nas.bench.accuracy_predictor import bench_accuracy_predictors
    from nas.bench.known_scores import bench_known_scores, elsewhere, known_columns, known_tables
    from nas.bench.run_table import run_tabular
    from nas.bench.tabular import read_tabular, with_recipe
    from nas.errors import JobError
    from predictors.registry import ACCURACY_PREDICTORS, ENCODERS

    if (table is None) == (run is None):
        raise JobError("--table, --run: got neither or both; legal: one of them")
    if run is not None and (operators or space or target or recipe):
        raise JobError(
            "--run: a run has its own space and metric; legal: without --operators, --space, --recipe and --target"
        )
    for column in words(recipe):
        if column in (*words(target), *words(known), *words(operators)):
            raise JobError(f"--recipe: {column!r} is of --target, --known or --operators too; legal: another column")
    if table is not None and not words(target):
        raise JobError("--target: is missing; legal: columns of the table")
    names = words(predictors) or list(ENCODERS if known else ACCURACY_PREDICTORS)
    for name in names:
        if name not in ACCURACY_PREDICTORS:
            raise JobError(f"--predictors: got {name!r}; legal: {', '.join(ACCURACY_PREDICTORS)}")
    counts, others = numbers(train, "--train", 5), words(known)
    if run is not None:
        scored = known_tables(elsewhere(others))
    with Terminal(Console(stderr=True)) as progress:
        if run is not None:
            judged = test or 200
            parts = [word for word in others if ":" not in word]
            read, metric, found = run_tabular(run, counts[-1] + judged, parts, KNOWN_OF_RUN, progress)
            targets, scored = [metric], {name: (read.features, *each) for name, each in found.items()} | scored
        else:
            assert table is not None
            read, targets, judged = read_tabular(table, words(operators), space), words(target), test or 3000
            if words(recipe):
                read = with_recipe(read, words(recipe))
            tables = elsewhere(others, read.frame.columns)
            if tables and space is None:
                raise JobError(
                    f"--space: is missing; legal with --known {tables[0]}: one, for plain codes share no operators"
                )
            scored = known_columns(read, [word for word in others if word not in tables]) | known_tables(tables)
        if others:
            if len(targets) > 1:
                raise JobError(f"--target: got {target!r}; legal with --known: one column")
            rows = bench_known_scores(read, targets[0], scored, counts, seeds, names, judged, progress)
        else:
            rows = bench_accuracy_predictors(read, targets, counts, seeds, names, judged, progress)
    _show(rows, as_json, out, ("kendall", "kendall_top", "spearman", "mape"))


def latency_transfer(
    table: TableFile,
    sources: Annotated[str, typer.Option(help="columns of known devices, in ms")],
    targets: Annotated[str, typer.Option(help="columns of new devices, in ms")],
    samples: Annotated[str, typer.Option(help="architectures measured on a new device, e.g. 5,10,20")] = "5,10,20",
    operators: Operators = None,
    space: SpaceName = None,
    predictors: Predictors = None,
    seeds: Seeds = 10,
    train: Annotated[int, typer.Option(min=50, help="architectures learnt from on the known devices")] = 900,
    trim: Annotated[
        float | None,
        typer.Option(help="judge this middle share of rows 900 to 1900 only, as HELP does, e.g. 0.8; all rows if not"),
    ] = None,
    chosen: Annotated[
        bool, typer.Option("--chosen", help="let the predictor choose what is measured, instead of at random")
    ] = False,
    out: Out = None,
    as_json: AsJson = False,
) -> None:
    """How well latency on a device never seen is predicted from a few architectures measured there."""
    from nas.bench.latency_transfer import TRANSFERS, TransferTask, bench_latency_transfer
    from nas.bench.tabular import read_tabular

    names = words(predictors) or list(TRANSFERS)
    counts = numbers(samples, "--samples", 3)
    read = read_tabular(table, words(operators), space)
    task = TransferTask(tuple(words(sources)), tuple(words(targets)), train, chosen, trim)
    with Terminal(Console(stderr=True)) as progress:
        rows = bench_latency_transfer(read, task, counts, seeds, names, progress)
    _show(rows, as_json, out, ("spearman", "kendall", "within_10", "mape"))


def words(text: str | None) -> list[str]:
    """The words of ``text``, separated by commas."""
    return [word.strip() for word in (text or "").split(",") if word.strip()]


def numbers(text: str, option: str, least: int) -> list[int]:
    """The whole numbers of ``text``, separated by commas, sorted. JobError naming ``option`` otherwise."""
    from nas.errors import JobError

    found = words(text)
    if not found or not all(word.isdigit() and int(word) >= least for word in found):
        raise JobError(f"{option}: got {text!r}; legal: whole numbers from {least}, separated by commas")
    return sorted({int(word) for word in found})


def print_rows(rows: pd.DataFrame, **more: pd.DataFrame) -> None:
    """The rows, and other tables by name, as one JSON object on standard output."""
    tables = {"rows": rows, **more}
    print(json.dumps({name: json.loads(table.to_json(orient="records")) for name, table in tables.items()}, indent=2))


def write_rows(rows: pd.DataFrame, out: Path | None, digits: int = 4) -> None:
    """The rows as CSV in ``out``, if there is one, with so many decimals."""
    if out is not None:
        from nas.files import write_atomically

        out.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(out, rows.round(digits).to_csv(index=False).encode())


def _show(rows: pd.DataFrame, as_json: bool, out: Path | None, figures: tuple[str, ...]) -> None:
    """The rows as CSV in ``out``, and on standard output as JSON, or as a table of a few figures with their spread."""
    write_rows(rows, out)
    if as_json:
        print_rows(rows)
        return
    keys = list(rows.columns[:3])
    shown = Table(*keys, *figures, "coverage of 90 %")
    for row in rows.to_dict("records"):
        values = [f"{row[f'{name}_mean']:.3f} ({row[f'{name}_std']:.3f})" for name in figures]
        shown.add_row(*[str(row[key]) for key in keys], *values, f"{row['coverage_90']:.0%}")
    Console().print(shown)
