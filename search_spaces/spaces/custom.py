"""`custom`: a pyramid that a user writes in one short file.

    name: custom
    title: my-space
    resolutions: [24, 32]
    stem: {conv_stem: {stride: 2}}
    downsample: [strided_conv]
    channel_mixers: [mlp]
    stages:
      - {widths: [16, 32], depths: [1, 2], mixers: [mbconv, identity]}
      - {widths: [32, 64], depths: [1, 2, 3], mixers: {mhsa: {heads: [2, 4], head_dim: 8}, nc_ssd: {}}}

Operators are given as a list of names or as a mapping from a name to its sizes; sizes left out are those that the operator
offers itself (`nas operators`). ``position`` and ``head`` may be given too, and a stage may have ``channel_mixers``, a
``downsample`` before it and a ``position`` of its own. Everything is checked before any weight exists. With ``context``
instead of ``resolutions`` the space is one of sequences: see `search_spaces.spaces.custom_sequence`.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from search_spaces.errors import SpaceError
from search_spaces.operators import get_operator, operator_names
from search_spaces.space import SearchSpace
from search_spaces.spaces import custom_sequence
from search_spaces.spaces.arguments import ascending, count, offered
from search_spaces.spaces.pyramid import Operators, Pyramid, Stage

PRESETS: dict[str, Any] = {}
SHARED_KEYS = ("stem", "position", "downsample", "channel_mixers", "head", "stages")
KEYS = ("title", "resolutions", "in_channels", "classes", *SHARED_KEYS)
STAGE_KEYS = ("widths", "depths", "mixers", "channel_mixers", "downsample", "position")
# sizes that follow from the rest of the definition
GIVEN = ("dim", "dim_in", "dim_out", "channels", "classes", "causal")
LARGEST = 65_536


def make(**definition: Any) -> SearchSpace:
    """The space of a definition as in the module's example; ``in_channels`` and ``classes`` may be left to the data.

    Raises:
        SpaceError: a key is unknown, missing or illegal, or an operator does not fit where it stands.
    """
    domain = "sequence" if "context" in definition else "image"
    if domain == "sequence":
        _keys("space", definition, custom_sequence.KEYS, ("stages",))
    else:
        _keys("space", definition, KEYS, ("resolutions", "stem", "stages"))
    title = definition.get("title", "custom")
    if not isinstance(title, str) or not title:
        raise SpaceError(f"space: title: got {title!r}; legal: a name")
    stages = definition["stages"]
    if not isinstance(stages, list | tuple) or not stages:
        raise SpaceError(f"space: stages: got {stages!r}; legal: a list of one or more stages")
    shared = _operators("channel_mixers", definition.get("channel_mixers", ()), "channel_mixer", domain)
    found = [_stage(f"stages[{s}]", stage, shared, domain) for s, stage in enumerate(stages, 1)]
    position = _operators("position", definition.get("position", ()), "position", domain)
    if domain == "sequence":
        return custom_sequence.space_of(definition, title, found, position)
    if "downsample" not in definition and not all(stage.downsamples for stage in found[1:]):
        raise SpaceError("space: key 'downsample' is missing; legal: one or more operators with that role")
    if found[0].downsamples:
        raise SpaceError("space: stages[1]: key 'downsample' is illegal; legal: from the second stage on")
    pyramid = Pyramid(
        stages=tuple(found),
        resolutions=ascending("resolutions", definition["resolutions"], 1, 8192),
        in_channels=count("in_channels", definition.get("in_channels"), 3, 1),
        classes=count("classes", definition.get("classes"), 10, 2),
        stems=_operators("stem", definition["stem"], "stem"),
        downsamples=_operators("downsample", definition.get("downsample", ()), "downsample"),
        positions=position,
        heads=_operators("head", definition.get("head", "pooled_head"), "head"),
    )
    for key, operators in (("stem", pyramid.stems), ("head", pyramid.heads)):
        if not operators:
            raise SpaceError(f"space: {key}: got none; legal: one or more operators with that role")
    whole = {**definition, "name": "custom", "in_channels": pyramid.in_channels, "classes": pyramid.classes}
    return pyramid.space(f"custom/{title}", whole)


def _keys(where: str, given: Any, legal: tuple[str, ...], needed: tuple[str, ...]) -> None:
    if not isinstance(given, Mapping):
        raise SpaceError(f"{where}: got {given!r}; legal: keys {', '.join(legal)}")
    for key in given:
        if key not in legal:
            close = difflib.get_close_matches(str(key), legal, n=1)
            hint = f" (did you mean {close[0]!r}?)" if close else ""
            raise SpaceError(f"{where}: unknown key {key!r}{hint}; legal: {', '.join(legal)}")
    for key in needed:
        if key not in given:
            raise SpaceError(f"{where}: key {key!r} is missing")


def _stage(where: str, stage: Any, shared: Operators, domain: str) -> Stage:
    _keys(f"space: {where}", stage, STAGE_KEYS if domain == "image" else STAGE_KEYS[:4], ("widths", "depths", "mixers"))
    mixers = _operators(f"{where}.mixers", stage["mixers"], "mixer", domain)
    if not mixers:
        raise SpaceError(
            f"space: {where}.mixers: got none; legal: one or more of {', '.join(operator_names('mixer', domain))}"
        )
    own = stage.get("channel_mixers")
    return Stage(
        ascending(f"{where}.widths", stage["widths"], 1, LARGEST),
        ascending(f"{where}.depths", stage["depths"], 0, 1000),
        mixers,
        shared if own is None else _operators(f"{where}.channel_mixers", own, "channel_mixer", domain),
        _operators(f"{where}.downsample", stage.get("downsample", ()), "downsample"),
        _operators(f"{where}.position", stage.get("position", ()), "position"),
    )


def _operators(where: str, given: Any, role: str, domain: str = "image") -> Operators:
    """Operator name -> sizes, the operator's own where none are given."""
    if isinstance(given, str):
        given = [given]
    if isinstance(given, list | tuple):
        given = (
            {name: {} for name in given if isinstance(name, str)} if all(isinstance(n, str) for n in given) else None
        )
    if not isinstance(given, Mapping):
        raise SpaceError(f"space: {where}: legal: a list of operators, or operators with their sizes")
    found: dict[str, Mapping[str, tuple[int, ...]]] = {}
    for name, sizes in given.items():
        legal = operator_names(role, domain)
        if name not in legal:
            close = difflib.get_close_matches(str(name), legal, n=1)
            hint = f" (did you mean {close[0]!r}?)" if close else ""
            raise SpaceError(f"space: {where}: got {name!r}{hint}; legal: {', '.join(legal)}")
        own = {size: values for size, values in offered((name,))[name].items() if size not in GIVEN}
        found[name] = {**own, **_sizes(f"{where}.{name}", name, {} if sizes is None else sizes)}
    return found


def _sizes(where: str, name: str, sizes: Any) -> dict[str, tuple[int, ...]]:
    legal = tuple(size for size in get_operator(name).elastic if size not in GIVEN)
    _keys(f"space: {where}", sizes, legal, ())
    found = {}
    for size, values in sizes.items():
        found[size] = ascending(f"{where}.{size}", [values] if type(values) is int else values, 0, LARGEST)
    return found
