"""Arguments of a space's definition, checked: every error names the argument, what came and what is legal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from search_spaces.errors import SpaceError
from search_spaces.operators import get_operator


def offered(names: tuple[str, ...], **sizes: tuple[int, ...]) -> dict[str, Mapping[str, tuple[int, ...]]]:
    """Operators with the sizes they offer themselves, where ``sizes`` does not say otherwise; widths are left out."""
    widths = ("dim", "dim_in", "dim_out", "channels")
    found: dict[str, Mapping[str, tuple[int, ...]]] = {}
    for name in names:
        own = get_operator(name).elastic
        found[name] = {size: sizes.get(size, values) for size, values in own.items() if size not in widths}
    return found


def ascending(name: str, values: Any, low: int, high: int) -> tuple[int, ...]:
    """``values`` as a tuple, if they are one or more ascending integers from ``low`` to ``high``.

    Raises:
        SpaceError: they are not.
    """
    good = isinstance(values, list | tuple) and bool(values) and all(type(v) is int for v in values)
    if not good or list(values) != sorted(set(values)) or not low <= values[0] <= values[-1] <= high:
        raise SpaceError(f"space: {name}: got {values!r}; legal: ascending integers from {low} to {high}")
    return tuple(values)


def count(name: str, value: Any, default: int, least: int) -> int:
    """``value``, or ``default`` for None, if it is an integer of at least ``least``.

    Raises:
        SpaceError: it is not.
    """
    value = default if value is None else value
    if type(value) is not int or not least <= value <= 100_000:
        raise SpaceError(f"space: {name}: got {value!r}; legal: an integer from {least} to 100000")
    return int(value)
