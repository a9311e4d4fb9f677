"""`nas proxies`: zero-cost proxies of architectures in a file."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from nas.options import AsJson


def proxies(
    architectures: Annotated[
        Path, typer.Argument(metavar="ARCHITECTURES", help="JSON file: one architecture or a list")
    ],
    proxies: Annotated[str | None, typer.Option(help="names, e.g. synflow,nwot; all if none")] = None,
    seed: Annotated[int, typer.Option(min=0, help="of the initial weights and the random inputs")] = 0,
    as_json: AsJson = False,
) -> None:
    """Zero-cost proxies of architectures: untrained networks on 32 random inputs, with the seconds that each proxy took."""
    from nas.latency.query import read_architectures
    from nas.progress import Terminal
    from predictors.proxies import PROXIES, RandomBatch, proxy_row
    from predictors.proxies.score import check_names

    names = list(PROXIES) if proxies is None else [name.strip() for name in proxies.split(",")]
    check_names(names)
    found = read_architectures(architectures)
    rows = []
    with Terminal(Console(stderr=True)) as progress:
        advance = progress.task("score networks", len(found))
        for architecture in found:
            row = proxy_row(architecture, names, seed, RandomBatch(seed=seed))
            rows.append({"hash": architecture.hash, "seed": seed, **row})
            advance(len(rows))
    if as_json:
        print(json.dumps([{name: _plain(value) for name, value in row.items()} for row in rows], indent=2))
    else:
        Console().print(_table(rows, names))


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and math.isnan(value) else value


def _table(rows: Sequence[dict[str, Any]], names: Sequence[str]) -> Table:
    table = Table("architecture", "proxy", "value", "seconds")
    for row in rows:
        why = dict(part.split(": ", 1) for part in row["undefined"].split("; ") if part)
        for name in names:
            value = f"undefined: {why[name]}" if math.isnan(row[name]) else f"{row[name]:.6g}"
            table.add_row(row["hash"], name, value, f"{row[f'{name}_seconds']:.2f}")
        table.add_section()
    return table
