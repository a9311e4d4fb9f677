"""Arguments of a space's definition, checked: every error names the argument, what came and what is legal."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from typing import Any

from search_spaces.errors import SpaceError
from search_spaces.operators import get_operator
from search_spaces.operators.frame import halved
from search_spaces.spec import OperatorSpec


def offered(names: tuple[str, ...], **sizes: tuple[int, ...]) -> dict[str, Mapping[str, tuple[int, ...]]]:
    """Operators with the sizes they offer themselves, where ``sizes`` does not say otherwise; widths are left out."""
    widths = ("dim", "dim_in", "dim_out", "channels")
    found: dict[str, Mapping[str, tuple[int, ...]]] = {}
    for name in names:
        own = get_operator(name).elastic
        found[name] = {size: sizes.get(size, values) for size, values in own.items() if size not in widths}
    return found


def chosen_names(name: str, given: Any, legal: tuple[str, ...]) -> tuple[str, ...]:
    """``given`` as a tuple, if it is one or more of ``legal``, each once.

    Raises:
        SpaceError: it is not.
    """
    names = list(given) if isinstance(given, list | tuple) else []
    if not names or len(set(map(str, names))) < len(names):
        raise SpaceError(f"space: {name}: got {given!r}; legal: one or more names, each once: {', '.join(legal)}")
    for one in names:
        if one not in legal:
            close = difflib.get_close_matches(str(one), legal, n=1)
            hint = f" (did you mean {close[0]!r}?)" if close else ""
            raise SpaceError(f"space: {name}: got {one!r}{hint}; legal: {', '.join(legal)}")
    return tuple(names)


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


def tabular(name: str, definition: Mapping[str, Any], classes: Mapping[str, int], side: int) -> dict[str, Any]:
    """The whole definition of a benchmark's space: preset (the first of ``classes`` unless given), one resolution,
    in_channels and classes.

    Raises:
        SpaceError: an argument is unknown or illegal.
    """
    legal = ("preset", "resolutions", "in_channels", "classes")
    for key in definition:
        if key not in legal:
            raise SpaceError(f"space: unknown key {key!r}; legal: name, {', '.join(legal)}")
    preset = definition.get("preset", next(iter(classes)))
    if not isinstance(preset, str) or preset not in classes:
        raise SpaceError(f"space: preset: got {preset!r}; legal: {', '.join(classes)}")
    given = definition.get("resolutions")
    resolutions = ascending("resolutions", [side] if given is None else given, 8, 512)
    if len(resolutions) != 1:
        raise SpaceError(f"space: resolutions: got {list(resolutions)!r}; legal: one integer, {name} has no other")
    return {
        "name": name,
        "preset": preset,
        "resolutions": list(resolutions),
        "in_channels": count("in_channels", definition.get("in_channels"), 3, 1),
        "classes": count("classes", definition.get("classes"), classes[preset], 2),
    }


def fixed(name: str, shape: tuple[int, ...], **sizes: int) -> Callable[[], OperatorSpec]:
    """The ``spec`` of a slot without genes."""
    spec = OperatorSpec.of(name, shape, **sizes)
    return lambda: spec


def halvings(side: int, times: int) -> int:
    """``side`` after ``times`` halvings, rounded up."""
    for _ in range(times):
        side = halved(side)
    return side
