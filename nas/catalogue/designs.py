"""The reference designs as rows."""

from __future__ import annotations

import json
from typing import Any

from rich.console import Console
from rich.table import Table

from search_spaces.spaces.reference import design_names, get_design


def design_rows() -> list[dict[str, Any]]:
    """One row a design: name, title, mixers_by_family, parameters and macs (each published, counted, deviation), resolution
    (pixels a side, or tokens), accuracy, source, paper, arxiv, tied, differences, hash."""
    rows = []
    for name in design_names():
        design = get_design(name)
        deviation = design.deviation
        figures = {
            figure: {
                "published": getattr(design.published, figure),
                "counted": getattr(design.counted, figure),
                "deviation": deviation.get(figure),
            }
            for figure in ("parameters", "macs")
        }
        rows.append(
            {
                "name": name,
                "title": design.title,
                "mixers_by_family": design.families,
                **figures,
                "resolution": design.published.resolution,
                "accuracy": design.published.accuracy,
                "source": design.published.source,
                "paper": f"{design.paper.authors}, {design.paper.title}",
                "arxiv": design.paper.arxiv,
                "tied": design.tied,
                "differences": design.differences,
                "hash": design.architecture.hash,
            }
        )
    return rows


def print_designs(as_json: bool, console: Console) -> None:
    """The rows of `design_rows`, as JSON or as a table."""
    rows = design_rows()
    if as_json:
        print(json.dumps(rows, indent=2))
        return
    heads = (
        "design",
        "mixers",
        "parameters: published, counted",
        "",
        "MACs: published, counted",
        "",
        "at",
        "top-1",
        "arXiv",
    )
    table = Table(*heads)
    for row in rows:
        mixers = ", ".join(f"{count} {family}" for family, count in row["mixers_by_family"].items())
        figures = [cell for figure in ("parameters", "macs") for cell in _cells(row[figure])]
        accuracy = "" if row["accuracy"] is None else f"{row['accuracy']:.1f} %"
        table.add_row(row["name"], mixers, *figures, str(row["resolution"]), accuracy, row["arxiv"])
    console.print(table)
    largest = max(abs(row[figure]["deviation"] or 0) for row in rows for figure in ("parameters", "macs"))
    console.print(f"{len(rows)} designs; counted within {largest:.1%} of the published figures", highlight=False)


def _cells(figure: dict[str, Any]) -> tuple[str, str]:
    """Published and counted figure, and how much the second is above the first."""
    if figure["published"] is None:
        return f"-, {_short(figure['counted'])}", ""
    return f"{_short(figure['published'])}, {_short(figure['counted'])}", f"{figure['deviation']:+.1%}"


def _short(number: float) -> str:
    return f"{number / 1e9:.2f} G" if number >= 1e9 else f"{number / 1e6:.2f} M"
