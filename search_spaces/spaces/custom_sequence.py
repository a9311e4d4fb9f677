"""`custom` over sequences: causal networks that a user writes in one short file, told from image spaces by ``context``.

    name: custom
    title: my-language-model
    context: [128, 256]
    vocab: 256
    channel_mixers: {sequence_swiglu: {ratio: [2, 3]}}
    stages:
      - {widths: [64, 128], depths: [2, 4, 6], mixers: [sequence_gqa, sequence_ssd]}

There is one stage. ``classes`` instead of ``vocab``-sized scores for every token gives one class a sequence. Operators and
their sizes are given as over images (`search_spaces.spaces.custom`); ``causal`` is no size to choose, it is 1.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

from search_spaces.build import check_spec, size_names
from search_spaces.errors import SpaceError
from search_spaces.operators import get_operator
from search_spaces.space import Choice, SearchSpace, Slot
from search_spaces.spaces.arguments import ascending
from search_spaces.spaces.pyramid import Operators, Sizes, Stage
from search_spaces.spec import OperatorSpec

KEYS = ("title", "context", "vocab", "classes", "position", "channel_mixers", "stages")
STEM, NEXT_TOKEN, CLASS = "byte_embedding", "next_token_head", "sequence_class_head"
LONGEST, LARGEST_VOCAB = 1 << 20, 1 << 20
ENDS = ("context", "stage1.width")
When = tuple[str, tuple[Any, ...]] | None


def space_of(definition: dict[str, Any], title: str, stages: list[Stage], position: Operators) -> SearchSpace:
    """The space of a definition whose operators were read already.

    Raises:
        SpaceError: an argument is illegal, or an operator does not fit where it stands.
    """
    if len(stages) != 1:
        raise SpaceError(f"space: stages: got {len(stages)}; legal over sequences: one")
    stage, lengths = stages[0], ascending("context", definition["context"], 1, LONGEST)
    (vocab,) = ascending("vocab", [definition.get("vocab", 256)], 2, LARGEST_VOCAB)
    whole = {**definition, "name": "custom", "vocab": vocab}
    heads: Operators = {NEXT_TOKEN: {"vocab": (vocab,)}}
    if definition.get("classes") is not None:
        heads = {CLASS: {"classes": ascending("classes", [definition["classes"]], 2, LARGEST_VOCAB)}}
    choices = [Choice("context", lengths), Choice("stage1.width", stage.widths), Choice("stage1.depth", stage.depths)]
    slots = [Slot("stem", ENDS, lambda length, dim: OperatorSpec.of(STEM, (length,), vocab=vocab, dim=dim))]
    for at, gene, deep, operators in [("position", "", None, position), *_layers(stage)]:
        if gene:
            choices.append(Choice(gene, tuple(operators), deep))
        for name, sizes in operators.items():
            _check(name, sizes, lengths, stage.widths)
            key, when = (f"{at}.{name}", (gene, (name,))) if gene else (at, None)
            choices += [Choice(f"{key}.{size}", values, when) for size, values in sizes.items()]
            slots.append(Slot(key, (*ENDS, *(f"{key}.{size}" for size in sizes)), _spec_of(name, sizes), when))
    ((head, fixed),) = heads.items()
    slots.append(
        Slot("head", ENDS, lambda length, dim: _spec_of(head, fixed)(length, dim, *(v[0] for v in fixed.values())))
    )
    return SearchSpace(f"custom/{title}", whole, choices, slots)


def _layers(stage: Stage) -> Iterator[tuple[str, str, When, Operators]]:
    """For every layer and its genes of operator types: prefix, gene, when it is active, what it chooses from."""
    plain = tuple(name for name in stage.mixers if not get_operator(name).mixes_channels)
    for layer in range(1, stage.depths[-1] + 1):
        at = f"stage1.layer{layer}"
        deep = ("stage1.depth", tuple(depth for depth in stage.depths if depth >= layer))
        yield at, f"{at}.mixer", deep, stage.mixers
        if plain and stage.channel_mixers:
            yield at, f"{at}.channel_mixer", (f"{at}.mixer", plain), stage.channel_mixers


def _spec_of(name: str, sizes: Sizes) -> Callable[..., OperatorSpec]:
    fixed = {"causal": 1} if "causal" in size_names(name) else {}

    def spec(length: int, dim: int, *values: int) -> OperatorSpec:
        return OperatorSpec.of(name, (length, dim), dim=dim, **dict(zip(sizes, values, strict=True)), **fixed)

    return spec


def _check(name: str, sizes: Sizes, lengths: tuple[int, ...], widths: tuple[int, ...]) -> None:
    operator = get_operator(name)
    if not operator.causal:
        raise SpaceError(f"space: operator {name!r} is not causal; legal over sequences: causal operators")
    for length, dim in itertools.product(lengths, widths):
        for values in itertools.product(*sizes.values()):
            check_spec(_spec_of(name, sizes)(length, dim, *values))
