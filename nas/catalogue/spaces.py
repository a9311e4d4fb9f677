"""The search spaces as rows."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from search_spaces import get_space, macs, presets, space_names


def print_spaces(as_json: bool, console: Console) -> None:
    """Every shipped space and preset: genes, architectures, operators and the range of MACs of random architectures."""
    rows: list[dict[str, Any]] = []
    for name in space_names():
        for preset in presets(name):
            space = get_space(f"{name}/{preset}")
            work = space.additive(macs)
            sampled = space.sample(2000, np.random.default_rng(0))
            smallest, largest = work.score(space.smallest(sampled)).min(), work.score(space.largest(sampled)).max()
            rows.append(
                {
                    "space": space.name,
                    "genes": len(space.choices),
                    "architectures": float(space.size()),
                    "operator_specs": len(space.specs()),
                    "resolutions": space.definition.get("resolutions") or space.definition["context"],
                    "macs_smallest": int(smallest),
                    "macs_median": int(np.median(work.score(sampled))),
                    "macs_largest": int(largest),
                }
            )
    if as_json:
        print(json.dumps(rows, indent=2))
        return
    heads = ("space", "genes", "architectures", "operator specs", "resolutions or contexts")
    table = Table(*heads, "MACs: smallest, median, largest")
    for row in rows:
        span = ", ".join(f"{row[f'macs_{size}'] / 1e6:.3g} M" for size in ("smallest", "median", "largest"))
        sides = ", ".join(map(str, row["resolutions"]))
        table.add_row(
            str(row["space"]), str(row["genes"]), f"{row['architectures']:.2g}", str(row["operator_specs"]), sides, span
        )
    console.print(table)
