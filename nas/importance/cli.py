"""`nas importance`: what carries the score of a run, and a smaller space."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Column, Table

from nas.options import AsJson

if TYPE_CHECKING:
    from nas.importance.study import Importance

SHOWN = 12  # rows of each end


def importance(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="a run directory that was searched")],
    csv: Annotated[Path | None, typer.Option(help="CSV file for all choices")] = None,
    shrink: Annotated[
        Path | None,
        typer.Option(
            help="job file to write: the run's job, its space without what is surely worse and surely no faster"
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say which operators, sizes and pairs of operators carry the score and the latency of a run's architectures.

    Every figure has a 90 % interval; where the evaluations are too few to tell, that is said.
    """
    from nas.errors import JobError
    from nas.files import write_atomically
    from nas.importance.shrink import shrink as shrunk
    from nas.importance.shrink import write_job
    from nas.importance.study import study
    from nas.progress import Silent
    from nas.run import RunDirectory
    from nas.session import Session

    if shrink is not None and shrink.suffix not in (".yaml", ".yml"):
        raise JobError(f"--shrink: got {str(shrink)!r}; legal: the path of a .yaml file")
    with RunDirectory.open(run, read_only=True) as opened:
        session = Session(opened, Silent())
        found = study(session)
        if csv is not None:
            write_atomically(csv, found.choices.to_csv(index=False, float_format="%.6g").encode())
        smaller = None
        if shrink is not None:
            smaller = shrunk(found, f"{opened.job.name}-small")
            write_job(session, smaller, shrink)
    if as_json:
        answer = found.to_json()
        if smaller is not None:
            removed = json.loads(smaller.removed.to_json(orient="records"))
            answer["smaller"] = {
                "removed": removed,
                "before": smaller.before,
                "after": smaller.after,
                "job": str(shrink),
            }
        print(json.dumps(answer, indent=2))
        return
    console = Console()
    _show(found, console)
    if smaller is not None:
        table = Table("choice", "is worse than", f"by ({found.metric.title})", title="removed", title_justify="left")
        for row in smaller.removed.to_dict("records"):
            table.add_row(f"{row['gene']} = {row['value']}", str(row["better"]), found.amount(row["gain"]))
        console.print(table)
        console.print(f"{smaller.text}; `nas run {shrink}` searches it", highlight=False, soft_wrap=True)


def _show(found: Importance, console: Console) -> None:
    from nas.importance.study import ends
    from nas.report.words import ms_change

    devices = [column for column in map(str, found.choices) if column.startswith("ms_")]
    heads = [Column(f"{column.removeprefix('ms_')}, ms", overflow="fold") for column in devices]
    title = (
        f"what carries {found.metric.title}, with what it brings along, beyond the mean of its gene (90 % intervals)"
    )
    table = Table(Column("choice", overflow="fold"), "gain", *heads, "seen", title=title, title_justify="left")
    for row in ends(found.choices, SHOWN).to_dict("records"):
        gain = found.amount(row["importance"], (row["high"] - row["low"]) / 2)
        latencies = [ms_change(*(row[f"{end}{column}"] for end in ("", "low_", "high_"))) for column in devices]
        table.add_row(f"{row['gene']} = {row['value']}", gain, *latencies, str(row["seen"]))
    console.print(table)
    console.print(found.verdict, highlight=False, soft_wrap=True)
    if len(found.pairs):
        pairs = Table(
            "pair", "gain", "90 % interval", "seen", title="two in a row, beyond each alone", title_justify="left"
        )
        for row in ends(found.pairs[found.pairs["seen"] > 1], SHOWN // 3).to_dict("records"):
            amounts = [found.amount(row[name]) for name in ("effect", "low", "high")]
            pairs.add_row(
                f"{row['first']} > {row['second']}", amounts[0], f"{amounts[1]} to {amounts[2]}", str(row["seen"])
            )
        console.print(pairs)
        console.print(found.verdict_on_pairs, highlight=False, soft_wrap=True)
