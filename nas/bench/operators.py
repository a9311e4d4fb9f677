"""Claim: every operator keeps every item of the contract. The table operator x item, made by running it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from nas.conformance import CHECKS, Outcome, check_operator
from nas.conformance.deployment import RUNTIMES
from nas.files import write_atomically
from nas.progress import Progress
from search_spaces import references
from search_spaces.operators import get_operator, operator_names
from search_spaces.references import published_of


def bench_operators(out: Path | None, names: list[str], progress: Progress, workers: int = 1) -> dict[str, Any]:
    """Runs all items for all operators (or for ``names``) in ``workers`` processes; with ``out``, writes ``contract.csv`` (a
    row a cell) and ``contract.md`` (the table) there.

    Returns:
        operators, mixers, mixers_by_family, mixers_deployable (in both runtimes), published (comparisons with other
        packages that ran), published_operators, worst (item -> largest error), untested and failures (operator, item
        and detail).
    """
    references.load()
    chosen = names or list(operator_names())
    for name in chosen:
        get_operator(name)  # a wrong name is refused before any work
    advance = progress.task("operators", len(chosen))
    rows = []
    for done, (name, outcomes) in enumerate(_checked(chosen, workers), 1):
        operator = get_operator(name)
        for item, outcome in outcomes.items():
            rows.append(
                {"operator": name, "role": operator.role, "family": operator.family, "item": item} | outcome._asdict()
            )
        advance(done, name)
    table = pd.DataFrame(rows)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        write_atomically(out / "contract.csv", table.to_csv(index=False, float_format="%.3g").encode())
        write_atomically(out / "contract.md", _markdown(table).encode())
    mixers = table[(table.role == "mixer") & (table.item == "builds")]
    passed = table[table.status == "pass"]
    both = passed[passed.item.isin(RUNTIMES) & (passed.role == "mixer")].groupby("operator").size()
    compared = passed[passed.item == "published"].operator
    return {
        "operators": len(chosen),
        "mixers": len(mixers),
        "mixers_by_family": dict(Counter(mixers.family)),
        "mixers_deployable": int((both == len(RUNTIMES)).sum()),
        "published_operators": len(compared),
        "published": [f"{name}: {entry.source}" for name in compared for entry in published_of(name)],
        "worst": {item: float(part.max()) for item, part in table.groupby("item").figure if part.notna().any()},
        "untested": _cells(table, "untested"),
        "failures": _cells(table, "fail"),
    }


def _checked(names: list[str], workers: int) -> Iterator[tuple[str, dict[str, Outcome]]]:
    """Name and outcomes of each operator, in order."""
    if workers == 1:
        yield from map(_check, names)
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        yield from pool.map(_check, names)


def _check(name: str) -> tuple[str, dict[str, Outcome]]:
    torch.set_num_threads(1)
    references.load()
    return name, check_operator(get_operator(name))


def _cells(table: pd.DataFrame, status: str) -> list[str]:
    found = table[table.status == status]
    return [f"{row.operator} {row.item}: {row.detail}" for row in found.itertuples()]


def _markdown(table: pd.DataFrame) -> str:
    lines = ["| operator | family | " + " | ".join(CHECKS) + " |", "|---" * (len(CHECKS) + 2) + "|"]
    for (name, family), part in table.groupby(["operator", "family"], sort=False):
        cells = {}
        for item, status, figure in zip(part["item"], part["status"], part["figure"].astype(float), strict=True):
            cells[item] = status if not figure > 0 else f"{status} {figure:.0e}"
        lines.append(f"| {name} | {family} | " + " | ".join(cells[item] for item in CHECKS) + " |")
    return "\n".join(lines) + "\n"
