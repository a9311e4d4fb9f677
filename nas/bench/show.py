"""What a bench found, for a terminal or as JSON; and the options that several have."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from nas.progress import Progress, Terminal

Space = Annotated[str, typer.Option(help="search space, e.g. hybrid-vision or hybrid-vision/mobile")]
Seed = Annotated[int, typer.Option(min=0, help="of the random draws")]


def show(bench: Callable[[Progress], dict[str, Any]], as_json: bool) -> dict[str, Any]:
    """Runs ``bench``; progress goes to standard error, so that standard output holds the result alone."""
    with Terminal(Console(stderr=True)) as progress:
        result = bench(progress)
    if as_json:
        print(json.dumps(result, indent=2))
        return result
    table = Table("figure", "value")
    for name, value in result.items():
        if not isinstance(value, list) or len(value) <= 3:
            table.add_row(name, f"{value:.3g}" if isinstance(value, float) else str(value))
        else:
            table.add_row(name, f"{len(value)} entries; --json shows them")
    Console().print(table)
    return result
