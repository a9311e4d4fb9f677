"""The operators as rows, and one operator's way through the contract."""

from __future__ import annotations

import importlib
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from nas.conformance import Outcome, check_operator
from nas.conformance.cases import elastic
from nas.conformance.deployment import RUNTIMES
from nas.errors import JobError
from search_spaces import SpaceError, references
from search_spaces.operators import Operator, get_operator, operator_names, register

COLOURS = {"pass": "green", "fail": "red", "untested": "yellow", "n/a": "dim"}


def operator_rows() -> list[dict[str, Any]]:
    """One row an operator: name, role, family, domain, sizes (name -> values offered), causal, deployable (runtimes),
    not_deployable (runtime -> why), summary."""
    rows = []
    for name in operator_names():
        operator = get_operator(name)
        rows.append(
            {
                "name": name,
                "role": operator.role.replace("_", " "),
                "family": operator.family,
                "domain": operator.domain,
                "sizes": {size: list(values) for size, values in elastic(operator).items()},
                "causal": operator.causal,
                "deployable": [runtime for runtime in RUNTIMES if runtime not in operator.not_deployable],
                "not_deployable": dict(operator.not_deployable),
                "summary": (operator.__doc__ or "").strip().split("\n\n")[0].replace("\n    ", " "),
            }
        )
    return rows


def print_operators(as_json: bool, console: Console) -> None:
    """The rows of `operator_rows`, as JSON or as a table with the numbers by family."""
    rows = operator_rows()
    if as_json:
        print(json.dumps(rows, indent=2))
        return
    table = Table("operator", "role", "family", "over", "sizes", "causal", "deployable in")
    for row in rows:
        sizes = "  ".join(f"{size} {','.join(map(str, values))}" for size, values in row["sizes"].items())
        causal = "yes" if row["causal"] else ""
        cells = [row["name"], row["role"], row["family"], row["domain"], sizes, causal]
        table.add_row(*cells, ", ".join(row["deployable"]) or "-")
    console.print(table)
    mixers = [row for row in rows if row["role"] == "mixer"]
    families = Counter(row["family"] for row in mixers)
    deployable = sum(len(row["deployable"]) == len(RUNTIMES) for row in mixers)
    counts = ", ".join(f"{count} {family}" for family, count in families.most_common())
    console.print(
        f"{len(mixers)} mixers ({counts}); {deployable} deployable in {' and '.join(RUNTIMES)}", highlight=False
    )


def load_operator(text: str) -> type[Operator]:
    """The operator class of ``package.module:Class``, imported from the current folder or the installed packages and
    registered if it is not; or a registered operator by its name.

    Raises:
        JobError: ``text`` is neither, the module cannot be imported or has no such operator class.
    """
    module_name, _, class_name = text.partition(":")
    if not class_name:
        return get_operator(text)
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        found = getattr(importlib.import_module(module_name), class_name, None)
    except SpaceError:
        raise
    except Exception as error:  # the user's own module may fail in any way
        raise JobError(f"OPERATOR: cannot import {module_name!r}: {type(error).__name__}: {error}") from None
    if not isinstance(found, type) or not issubclass(found, Operator):
        raise JobError(f"OPERATOR: {module_name!r} has no operator class {class_name!r}; legal: a subclass of Operator")
    if found.name not in operator_names():
        register(found)
    return found


def print_check(operator: type[Operator], as_json: bool, console: Console) -> bool:
    """Runs every item of the contract and prints the outcomes. True if nothing failed and nothing is untested."""
    references.load()
    outcomes = check_operator(operator)
    if as_json:
        print(json.dumps({item: outcome._asdict() for item, outcome in outcomes.items()}, indent=2))
    else:
        console.print(_outcome_table(operator.name, outcomes))
    return all(outcome.status in ("pass", "n/a") for outcome in outcomes.values())


def _outcome_table(name: str, outcomes: dict[str, Outcome]) -> Table:
    table = Table(name, "", "largest error", "detail")
    for item, outcome in outcomes.items():
        figure = "" if outcome.figure is None else f"{outcome.figure:.2g}"
        status = f"[{COLOURS[outcome.status]}]{outcome.status}[/]"
        table.add_row(item, status, figure, outcome.detail.replace("[", "\\["))
    return table
