"""`nas bench search` and `nas bench engine`: searchers on a table of the user's, and the speed of the engine."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from nas.bench.predictors_cli import Out, SpaceName, TableFile, numbers, print_rows, words, write_rows
from nas.options import AsJson
from nas.progress import Terminal

if TYPE_CHECKING:
    import pandas as pd


def search(
    table: TableFile,
    maximize: Annotated[str | None, typer.Option(help="columns that a query tells and that are to grow")] = None,
    minimize: Annotated[str | None, typer.Option(help="columns that a query tells and that are to shrink")] = None,
    report: Annotated[
        str | None,
        typer.Option(help="with one objective: the column that judges what was found, e.g. test beside validation"),
    ] = None,
    genes: Annotated[str | None, typer.Option(help="the table's columns of choices, e.g. e01,e02,e12")] = None,
    space: SpaceName = None,
    budget: Annotated[str, typer.Option(help="queries; one search to the largest is read at each")] = "50,100,200,500",
    seeds: Annotated[int, typer.Option(min=1, help="searches of each searcher")] = 20,
    searchers: Annotated[
        str, typer.Option(help="names, also pymoo-nsga2, optuna-nsga2 and optuna-tpe where these are installed")
    ] = "random,regularised-evolution,local-search,nsga2,predictor-nsga2",
    population: Annotated[int, typer.Option(min=2, help="rows that breed")] = 20,
    batch: Annotated[int, typer.Option(min=1, help="rows asked for at once")] = 2,
    resolution: Annotated[
        str | None, typer.Option(help="of each objective in turn, what differs by less ranks as equal; 0: none")
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="processes; one a core if none")] = None,
    out: Out = None,
    plot: Annotated[Path | None, typer.Option(help="PNG file for a picture of the rows")] = None,
    as_json: AsJson = False,
) -> None:
    """What searchers find on a table for so many queries: of one objective, or of the hypervolume of several."""
    from nas.bench.search import SearchTask, bench_search
    from nas.bench.tabular import read_tabular

    budgets = numbers(budget, "--budget", 1)
    widths = _widths(words(resolution))
    task = SearchTask(tuple(words(maximize)), tuple(words(minimize)), report, tuple(budgets), population, batch, widths)
    read = read_tabular(table, words(genes), space, "--genes")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with Terminal(Console(stderr=True)) as progress:
        rows = bench_search(read, task, words(searchers), seeds, workers or cores, progress)
    write_rows(rows, out, digits=6)
    if plot is not None:
        from nas.bench.search_figure import draw

        draw(rows, plot)
    if as_json:
        print_rows(rows)
        return
    _show(rows, "budget", digits=5)


def steady(
    table: TableFile,
    maximize: Annotated[str | None, typer.Option(help="columns that a query tells and that are to grow")] = None,
    minimize: Annotated[str | None, typer.Option(help="columns that a query tells and that are to shrink")] = None,
    genes: Annotated[str | None, typer.Option(help="the table's columns of choices, e.g. e01,e02,e12")] = None,
    space: SpaceName = None,
    searchers: Annotated[str, typer.Option(help="names")] = "nsga2,regularised-evolution,predictor-nsga2",
    windows: Annotated[str, typer.Option(help="evaluations that stay out; 1 waits for whole batches")] = "1,20,40",
    crews: Annotated[str, typer.Option(help="numbers of workers")] = "8,16,32",
    deviation: Annotated[float, typer.Option(min=0, max=3, help="of the logarithm of an evaluation's time")] = 0.5,
    budget: Annotated[int, typer.Option(min=2, help="queries")] = 200,
    population: Annotated[int, typer.Option(min=2, help="rows that breed, and rows asked for at once")] = 20,
    seeds: Annotated[int, typer.Option(min=1, help="searches of each searcher and window")] = 10,
    out: Out = None,
    as_json: AsJson = False,
) -> None:
    """How busy workers are, by a simulated clock, and what is found, where the next batch is asked for early."""
    from nas.bench.search import SearchTask
    from nas.bench.steady import bench_steady
    from nas.bench.tabular import read_tabular

    task = SearchTask(tuple(words(maximize)), tuple(words(minimize)), None, (budget,), population, population)
    read = read_tabular(table, words(genes), space, "--genes")
    asked = numbers(windows, "--windows", 1), numbers(crews, "--crews", 1)
    with Terminal(Console(stderr=True)) as progress:
        rows = bench_steady(read, task, words(searchers), *asked, deviation, seeds, progress)
    write_rows(rows, out, digits=6)
    if as_json:
        print_rows(rows)
        return
    _show(rows, "window", digits=4)


def _show(rows: pd.DataFrame, key: str, digits: int) -> None:
    """Every figure of every searcher and value of ``key``, its spread in brackets."""
    figures = [name.removesuffix("_mean") for name in rows.columns if name.endswith("_mean")]
    shown = Table("searcher", key, *figures)
    for row in rows.to_dict("records"):
        values = [f"{row[f'{name}_mean']:.{digits}g} ({row[f'{name}_std']:.2g})" for name in figures]
        shown.add_row(row["searcher"], str(row[key]), *values)
    Console().print(shown)


def _widths(given: list[str]) -> tuple[float, ...]:
    from nas.errors import JobError

    try:
        return tuple(float(word) for word in given)
    except ValueError:
        raise JobError(f"--resolution: got {', '.join(given)!r}; legal: numbers, separated by commas") from None


def searchers(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="a trained run directory")],
    names: Annotated[
        str, typer.Option("--searchers", help="names; several joined by + share the evaluations")
    ] = "random,local-search,nsga2,predictor-nsga2",
    device: Annotated[str | None, typer.Option(help="of the run's job; the first if none")] = None,
    budget: Annotated[
        str, typer.Option(help="whole evaluations; one search to the largest is read at each")
    ] = "50,100,200",
    seeds: Annotated[int, typer.Option(min=1, help="searches of each searcher")] = 5,
    members: Annotated[int, typer.Option(min=1, help="of each first front, tested and measured")] = 6,
    workers: Annotated[
        int | None, typer.Option(min=1, help="processes that evaluate; the job's threads if none")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="folder for growth.csv, members.csv and growth.png")] = None,
    as_json: AsJson = False,
) -> None:
    """Searchers on a run's supernet: the hypervolume that their fronts miss, and what the last fronts are worth."""
    from nas.bench.search_figure import draw
    from nas.bench.supernet_search import bench_supernet_search
    from nas.resources import Resources

    budgets = numbers(budget, "--budget", 1)
    with Terminal(Console(stderr=True)) as progress:
        growth, finals = bench_supernet_search(
            run, device, words(names), budgets, seeds, members, progress, Resources(workers)
        )
    if out is not None:
        write_rows(growth, out / "growth.csv", digits=6)
        write_rows(finals, out / "members.csv", digits=6)
        draw(growth, out / "growth.png")
    if as_json:
        print_rows(growth, members=finals)
        return
    shown = Table("searcher", "evaluations", "missing hypervolume")
    for row in growth.to_dict("records"):
        missing = f"{row['missing_hypervolume_mean']:.4f} ({row['missing_hypervolume_std']:.4f})"
        shown.add_row(row["searcher"], str(row["budget"]), missing)
    Console().print(shown)


def engine(
    genes: Annotated[int, typer.Option(min=2, help="of a space of independent genes")] = 40,
    choices: Annotated[int, typer.Option(min=2, help="values of each gene")] = 6,
    population: Annotated[int, typer.Option(min=2, help="of NSGA-II")] = 1000,
    generations: Annotated[int, typer.Option(min=1, help="of one NSGA-II")] = 50,
    seed: Annotated[int, typer.Option(min=0, help="of the random draws")] = 0,
    as_json: AsJson = False,
) -> None:
    """Candidates a second, on one thread: scoring two additive objectives, and the whole NSGA-II loop."""
    from nas.bench.engine import bench_engine

    found = bench_engine(genes, choices, population, generations, seed)
    if as_json:
        print(json.dumps(found, indent=2))
        return
    shown = Table("figure", "value")
    for name, value in found.items():
        shown.add_row(name, f"{value:,.0f}")
    Console().print(shown)


def constraints(
    tables: Annotated[list[Path], typer.Argument(metavar="TABLES", help="two or more latency tables of one space")],
    cases: Annotated[int, typer.Option(min=1, help="cases, of three kinds in turn")] = 50,
    seed: Annotated[int, typer.Option(min=0, help="of the random draws")] = 0,
    out: Out = None,
    as_json: AsJson = False,
) -> None:
    """Limits that are impossible, contradictory or just met: what a search answers, how near, and how fast."""
    from nas.bench.constraints import bench_constraints

    with Terminal(Console(stderr=True)) as progress:
        rows = bench_constraints(tables, cases, seed, progress)
    write_rows(rows, out, digits=6)
    if as_json:
        print_rows(rows)
        return
    shown = Table("kind", "cases", "feasible", "over, largest", "seconds, largest")
    for kind, part in rows.groupby("kind", sort=False):
        feasible = int((part["answer"] == "feasible").sum())
        shown.add_row(
            str(kind), str(len(part)), str(feasible), f"{part['over'].max():.2%}", f"{part['seconds'].max():.2f}"
        )
    Console().print(shown)
