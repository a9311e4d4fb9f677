"""The shipped search spaces by name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from search_spaces.errors import SpaceError
from search_spaces.space import SearchSpace
from search_spaces.spaces import custom, hybrid_sequence, hybrid_vision, nas_bench_201, nas_bench_macro

_SPACES = {
    "hybrid-vision": hybrid_vision,
    "hybrid-sequence": hybrid_sequence,
    "nas-bench-201": nas_bench_201,
    "nas-bench-macro": nas_bench_macro,
    "custom": custom,
}


def space_names() -> list[str]:
    """Names of the shipped spaces."""
    return list(_SPACES)


def presets(name: str) -> list[str]:
    """The presets of space ``name``; the first is the default. A space without presets is defined by its user.

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
    """The space of ``"name"`` or ``"name/preset"`` with that preset's usual resolutions, or of a space file: the path of a
    YAML or JSON file that holds a definition.

    Raises:
        SpaceError: unknown name or preset, or a file that cannot be read or is illegal.
    """
    if text.endswith((".yaml", ".yml", ".json")):
        return make_space(read_definition(Path(text)))
    name, _, preset = text.partition("/")
    if name not in _SPACES or not presets(name):
        legal = [f"{space}/{p}" for space in _SPACES for p in presets(space)]
        raise SpaceError(f"space: got {text!r}; legal: {', '.join(legal)}, or the path of a space file (YAML or JSON)")
    return make_space({"name": name, "preset": preset or presets(name)[0]})


def read_definition(path: Path) -> dict[str, Any]:
    """The definition in a space file; ``name: custom`` may be left out.

    Raises:
        SpaceError: the file is missing, is no YAML or JSON, or holds no mapping.
    """
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SpaceError(f"space: {path} does not exist; legal: a YAML or JSON file with a definition") from None
    except (OSError, ValueError, yaml.YAMLError, RecursionError) as error:
        raise SpaceError(f"space: {path} cannot be read: {error}") from None
    if not isinstance(data, dict):
        raise SpaceError(
            f"space: {path} holds {type(data).__name__}; legal: a mapping with resolutions, stem and stages"
        )
    return {"name": "custom", **data}
