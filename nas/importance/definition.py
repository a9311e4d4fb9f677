"""A restricted space as the definition of a space of its own: what a file can hold."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from nas.errors import JobError
from search_spaces import SearchSpace, make_space
from search_spaces.errors import SpaceError
from search_spaces.operators import get_operator
from search_spaces.spaces.custom import GIVEN

Sizes = dict[str, list[int]]


def custom_definition(space: SearchSpace, title: str) -> dict[str, Any]:
    """The definition of a ``custom`` space with the networks of ``space``, where the layers of a stage have the same choices.

    It is read off the operators that the slots may hold, so it serves every space of stages and layers.

    Raises:
        JobError: the space is no such one.
    """
    stages = sorted(int(match[1]) for name in space.index if (match := re.fullmatch(r"stage(\d+)\.depth", name)))
    if not stages:
        raise JobError(
            f"{space.name}: is no space of stages and layers; legal: hybrid-vision, hybrid-sequence or custom"
        )
    extent = space.choices[0].name
    found: dict[str, Any] = {"name": "custom", "title": title}
    found["context" if extent == "context" else "resolutions"] = _legal(space, extent)
    found["stages"] = [_stage(space, s) for s in stages]
    (head, sizes), *others = _operators(space, lambda key: key.partition(".")[0] == "head").items()
    if extent == "context":
        first = next(iter(space.slot_specs(space.slots[0])))
        found["vocab"] = dict(first.sizes)["vocab"]
        if head == "sequence_class_head":
            found["classes"] = space.definition["classes"]
    else:
        found["stem"] = _operators(space, lambda key: key.partition(".")[0] == "stem")
        found["head"] = dict([(head, sizes), *others])
        found |= {key: space.definition[key] for key in ("in_channels", "classes")}
    if position := _operators(space, lambda key: key.partition(".")[0] == "position"):
        found["position"] = position
    try:
        make_space(found)
    except SpaceError as error:  # a space that a custom one cannot say
        raise JobError(f"{space.name}: cannot be written as a space file: {error}") from None
    return found


def _stage(space: SearchSpace, s: int) -> dict[str, Any]:
    layers = _operators(space, lambda key: key.startswith(f"stage{s}.layer"))
    stage: dict[str, Any] = {
        "widths": _legal(space, f"stage{s}.width"),
        "depths": _legal(space, f"stage{s}.depth"),
        "mixers": {name: sizes for name, sizes in layers.items() if get_operator(name).role == "mixer"},
    }
    if channel := {name: sizes for name, sizes in layers.items() if get_operator(name).role == "channel_mixer"}:
        stage["channel_mixers"] = channel
    for key in ("downsample", "position") if s > 1 else ():
        at = f"{key}{s}"
        if operators := _operators(space, lambda slot, at=at: slot.partition(".")[0] == at):  # type: ignore[misc]
            stage[key] = operators
    return stage


def _legal(space: SearchSpace, gene: str) -> list[Any]:
    g = space.index[gene]
    return [space.choices[g].values[int(v)] for v in space.legal[g]]


def _operators(space: SearchSpace, where: Callable[[str], bool]) -> dict[str, Sizes]:
    """Operator -> its legal sizes, of the slots whose key is so."""
    found: dict[str, dict[str, set[int]]] = {}
    for slot in space.slots:
        if where(slot.key):
            for spec in space.slot_specs(slot):
                sizes = found.setdefault(spec.name, {})
                for name, value in spec.sizes:
                    if name not in GIVEN and name in get_operator(spec.name).elastic:
                        sizes.setdefault(name, set()).add(int(value))
    return {name: {size: sorted(values) for size, values in sizes.items()} for name, sizes in found.items()}
