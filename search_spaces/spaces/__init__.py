"""The shipped search spaces by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from search_spaces.errors import SpaceError
from search_spaces.space import SearchSpace
from search_spaces.spaces import hybrid_vision

_SPACES = {"hybrid-vision": hybrid_vision}


def space_names() -> list[str]:
    """Names of the shipped spaces."""
    return list(_SPACES)


def presets(name: str) -> list[str]:
    """The presets of space ``name``; the first is the default.

    Raises:
        SpaceError: there is no such space.
    """
    if name not in _SPACES:
        raise SpaceError(f"space: name: got {name!r}; legal: {', '.join(_SPACES)}")
    return list(_SPACES[name].PRESETS)


def make_space(definition: Any) -> SearchSpace:
    """The space of a definition: ``{"name": "hybrid-vision", "preset": "tiny", ...}``; see the space for the other keys.

    Raises:
        SpaceError: a key is unknown or has an illegal value.
    """
    if not isinstance(definition, Mapping) or not all(isinstance(key, str) for key in definition):
        raise SpaceError(f"space: got {definition!r}; legal is an object with 'name' and 'preset'")
    name = definition.get("name")
    if not isinstance(name, str) or name not in _SPACES:
        raise SpaceError(f"space: name: got {name!r}; legal: {', '.join(_SPACES)}")
    return _SPACES[name].make(**{key: value for key, value in definition.items() if key != "name"})


def get_space(text: str) -> SearchSpace:
    """The space of ``"name"`` or ``"name/preset"`` with that preset's usual resolutions.

    Raises:
        SpaceError: unknown name or preset.
    """
    name, _, preset = text.partition("/")
    if name not in _SPACES:
        legal = [f"{space}/{p}" for space in _SPACES for p in presets(space)]
        raise SpaceError(f"space: got {text!r}; legal: {', '.join(legal)}")
    return make_space({"name": name, "preset": preset or presets(name)[0]})
