"""The devices that a calibration learns from: latency tables that the user names, or those that come with the project."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import hardware
from hardware.table import LatencyTable
from nas.errors import JobError
from search_spaces import OperatorSpec, SearchSpace, make_space
from search_spaces.operators import get_operator

SHIPPED = Path(hardware.__file__).parent / "tables"


def given_tables(tables: Mapping[str, LatencyTable]) -> tuple[SearchSpace, dict[str, LatencyTable]]:
    """The space of tables that the user named, and the tables.

    Tables may differ in their mixers: the space then has those that all of them know.

    Raises:
        JobError: they are of different spaces, batches or modes, or name no space.
    """
    (first, base), *others = tables.items()
    if any(table.header["space"] is None for table in tables.values()):
        raise JobError("--table: one names no space; legal: tables that `nas profile` measured")
    for name, table in others:
        for key in ("batch", "mode"):
            if (here := _condition(table, key)) != (there := _condition(base, key)):
                raise JobError(f"--table: {name} was measured with {key} {here}, {first} with {there}; legal: the same")
        if (here := _frame(table)) != (there := _frame(base)):
            raise JobError(f"--table: {name} was measured for {here}, {first} for {there}; legal: one space")
    spaces = [make_space(table.header["space"]) for table in tables.values()]
    mixers = [_mixers(space) for space in spaces]
    common = [mixer for mixer in mixers[0] if all(mixer in some for some in mixers)]
    if not common:
        raise JobError("--table: the tables have no mixer in common; legal: tables of one space")
    space = next(
        (space for space, found in zip(spaces, mixers, strict=True) if set(found) == set(common)),
        None,
    ) or make_space({**base.header["space"], "mixers": common})
    return space, dict(tables)


def shipped_tables(
    space: SearchSpace | None, say: Callable[[str], None]
) -> tuple[SearchSpace, dict[str, LatencyTable]]:
    """The tables of the project that know every operator of ``space`` (that of most of them, if none); those left out are
    told to ``say``.

    Raises:
        JobError: there is none.
    """
    folders = sorted(path.parent for path in SHIPPED.glob("*/*/*/header.json"))
    found = {f"{folder.parent.name}-{folder.name}": LatencyTable.load(folder) for folder in folders}
    if space is not None:
        kind = (space.definition.get("name"), space.definition.get("preset"))
        found = {n: t for n, t in found.items() if (t.header["space"]["name"], t.header["space"].get("preset")) == kind}
    if not found:
        legal = ", ".join(sorted({path.name for path in SHIPPED.glob("*/")})) or "none"
        raise JobError(
            f"--table: is missing, and no table comes with the project for {space.name if space else 'any space'}; "
            f"legal: tables of known devices (`nas profile`); those that come with it are for {legal}"
        )
    if space is None:
        most = Counter(json.dumps(table.header["space"]) for table in found.values()).most_common(1)[0][0]
        space = make_space(json.loads(most))
    conditions = Counter((_condition(t, "batch"), _condition(t, "mode")) for t in found.values()).most_common(1)[0][0]
    kept = {}
    for name, table in found.items():
        if (_condition(table, "batch"), _condition(table, "mode")) != conditions:
            say(f"{name} is left out: it is of another batch or mode than the others")
        elif missing := unknown_operators(space, table):
            say(f"{name} is left out: it does not know {', '.join(missing)}")
        else:
            kept[name] = table
    if not kept:
        raise JobError(f"--table: no table that comes with the project knows all operators of {space.name}")
    return space, kept


def unknown_operators(space: SearchSpace, table: LatencyTable) -> list[str]:
    """Operators of the space that were never measured for the table, at any size."""
    known = {OperatorSpec.parse(key).name for key in table.operators["key"]}
    return [name for name in dict.fromkeys(spec.name for spec in space.specs()) if name not in known]


def _condition(table: LatencyTable, key: str) -> Any:
    return table.header.get(key, "forward" if key == "mode" else None)


def _frame(table: LatencyTable) -> dict[str, Any]:
    return {key: value for key, value in table.header["space"].items() if key != "mixers"}


def _mixers(space: SearchSpace) -> Sequence[str]:
    names = dict.fromkeys(spec.name for spec in space.specs())
    return [name for name in names if get_operator(name).role == "mixer"]
