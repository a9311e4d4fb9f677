"""`hybrid-sequence`: causal networks over tokens in which every layer chooses its mixer from attention, convolution, state
space, linear attention and the families between them.

    token embedding -> layers (mixer, channel mixer) -> next-token head, or class head

One width serves all layers. Every (layer, mixer type) has weights of its own; embedding, channel mixers and head are
shared by all architectures. As every mixer is causal, each network can also decode token by token.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from search_spaces.build import check_spec, size_names
from search_spaces.errors import SpaceError
from search_spaces.operators import get_operator, operator_names
from search_spaces.space import Choice, SearchSpace, Slot
from search_spaces.spaces.arguments import ascending, chosen_names, count, offered
from search_spaces.spec import OperatorSpec

TASKS = ("language", "classification")
CHANNEL_MIXERS = ("sequence_mlp", "sequence_swiglu")
STEM, HEADS = "byte_embedding", {"language": "next_token_head", "classification": "sequence_class_head"}
KEYS = "name, preset, context, vocab, classes, task, mixers"
Operators = Mapping[str, Mapping[str, tuple[int, ...]]]


@dataclass(frozen=True)
class Preset:
    """Legal widths and depths, and the usual contexts."""

    widths: tuple[int, ...]
    depths: tuple[int, ...]
    context: tuple[int, ...]


PRESETS = {
    "tiny": Preset((64, 96, 128), (2, 3, 4, 6), (128,)),
    "small": Preset((128, 192, 256), (4, 6, 8, 12), (256,)),
}


def causal_mixers() -> tuple[str, ...]:
    """The registered sequence mixers that have a causal form and run in every deployment runtime."""
    operators = {name: get_operator(name) for name in operator_names("mixer", "sequence")}
    return tuple(name for name, operator in operators.items() if operator.causal and not operator.not_deployable)


def make(
    preset: Any = "tiny",
    context: Any = None,
    vocab: Any = None,
    classes: Any = None,
    task: Any = "language",
    mixers: Any = None,
    **unknown: Any,
) -> SearchSpace:
    """The space ``hybrid-sequence`` with one of its presets.

    Args:
        preset: ``tiny`` (width 64 to 128, 2 to 6 layers) or ``small`` (width 128 to 256, 4 to 12 layers).
        context: ascending sequence lengths to choose from.
        vocab: number of different tokens; 256 are bytes.
        classes: to tell apart, where the task is classification.
        task: ``language`` (the next token after every token) or ``classification`` (one class a sequence).
        mixers: names of the mixers to choose from; all causal ones by default. The definition of the space names them.

    Raises:
        SpaceError: an argument is unknown or illegal; the message names it and the legal values.
    """
    if unknown:
        raise SpaceError(f"space: unknown key {sorted(unknown)[0]!r}; legal: {KEYS}")
    if not isinstance(preset, str) or preset not in PRESETS:
        raise SpaceError(f"space: preset: got {preset!r}; legal: {', '.join(PRESETS)}")
    if task not in TASKS:
        raise SpaceError(f"space: task: got {task!r}; legal: {', '.join(TASKS)}")
    base = PRESETS[preset]
    lengths = ascending("context", list(base.context) if context is None else context, 1, 1 << 20)
    vocab = count("vocab", vocab, 256, 2)
    outputs = vocab if task == "language" else count("classes", classes, 2, 2)
    if task == "language" and classes is not None:
        raise SpaceError(f"space: classes: got {classes!r}; legal for the task language is none")
    chosen = _chosen(mixers, base, lengths)
    definition = {"name": "hybrid-sequence", "preset": preset, "context": list(lengths), "vocab": vocab, "task": task}
    definition |= {"classes": outputs} if task == "classification" else {}
    return SearchSpace(
        f"hybrid-sequence/{preset}",
        {**definition, "mixers": list(chosen)},
        _choices(base, lengths, chosen),
        _slots(base, chosen, vocab, outputs, HEADS[task]),
    )


def _chosen(mixers: Any, preset: Preset, lengths: tuple[int, ...]) -> Operators:
    """Mixers with their elastic sizes, each checked at all of them; ``causal`` is no choice here."""
    legal = causal_mixers()
    if mixers is None:
        found = {name: sizes for name in legal if (sizes := _fitting(name, preset, lengths)) is not None}
    else:
        found = {name: _sizes(name) for name in chosen_names("mixers", mixers, legal)}
        for name in found:
            _check(name, found[name], preset, lengths)
    if not found:
        raise SpaceError("space: mixers: no causal sequence mixer fits these contexts and widths")
    for name in CHANNEL_MIXERS:
        _check(name, _sizes(name), preset, lengths)
    return found


def _sizes(name: str) -> dict[str, tuple[int, ...]]:
    return {size: values for size, values in offered((name,))[name].items() if size != "causal"}


def _check(name: str, sizes: Mapping[str, tuple[int, ...]], preset: Preset, lengths: tuple[int, ...]) -> None:
    for length, dim in itertools.product(lengths, preset.widths):
        for values in itertools.product(*sizes.values()):
            check_spec(_layer_spec(name, tuple(sizes))(length, dim, *values))


def _fitting(name: str, preset: Preset, lengths: tuple[int, ...]) -> dict[str, tuple[int, ...]] | None:
    """The sizes of a mixer, or None where it does not fit at all of them."""
    try:
        _check(name, _sizes(name), preset, lengths)
    except SpaceError:
        return None
    return _sizes(name)


def _layer_spec(name: str, sizes: tuple[str, ...]) -> Callable[..., OperatorSpec]:
    fixed = {"causal": 1} if "causal" in size_names(name) else {}

    def spec(length: int, dim: int, *values: int) -> OperatorSpec:
        return OperatorSpec.of(name, (length, dim), dim=dim, **dict(zip(sizes, values, strict=True)), **fixed)

    return spec


Gene = tuple[str, tuple[str, tuple[Any, ...]], Operators]  # name, when it is active, what it chooses from


def _layers(preset: Preset, mixers: Operators) -> Iterator[tuple[str, list[Gene]]]:
    """For every layer its prefix and its genes of operator types."""
    channel_mixers = {name: _sizes(name) for name in CHANNEL_MIXERS}
    plain = tuple(name for name in mixers if not get_operator(name).mixes_channels)
    for layer in range(1, preset.depths[-1] + 1):
        at = f"stage1.layer{layer}"
        deep = ("stage1.depth", tuple(depth for depth in preset.depths if depth >= layer))
        genes: list[Gene] = [(f"{at}.mixer", deep, mixers)]
        yield at, [*genes, (f"{at}.channel_mixer", (f"{at}.mixer", plain), channel_mixers)] if plain else genes


def _choices(preset: Preset, lengths: tuple[int, ...], mixers: Operators) -> list[Choice]:
    choices = [Choice("context", lengths), Choice("stage1.width", preset.widths), Choice("stage1.depth", preset.depths)]
    for at, genes in _layers(preset, mixers):
        for gene, when, operators in genes:
            choices.append(Choice(gene, tuple(operators), when))
            for name, sizes in operators.items():
                choices += [Choice(f"{at}.{name}.{z}", values, (gene, (name,))) for z, values in sizes.items()]
    return choices


def _slots(preset: Preset, mixers: Operators, vocab: int, outputs: int, head: str) -> list[Slot]:
    ends = ("context", "stage1.width")

    def stem_spec(length: int, dim: int) -> OperatorSpec:
        return OperatorSpec.of(STEM, (length,), vocab=vocab, dim=dim)

    def head_spec(length: int, dim: int) -> OperatorSpec:
        size = "vocab" if head == HEADS["language"] else "classes"
        return OperatorSpec.of(head, (length, dim), dim=dim, **{size: outputs})

    slots = [Slot("stem", ends, stem_spec)]
    for at, genes in _layers(preset, mixers):
        for gene, _, operators in genes:
            for name, sizes in operators.items():
                own = (*ends, *(f"{at}.{name}.{size}" for size in sizes))
                slots.append(Slot(f"{at}.{name}", own, _layer_spec(name, tuple(sizes)), (gene, (name,))))
    return [*slots, Slot("head", ends, head_spec)]
