"""`nas-bench-201`: the space of the tabular benchmark, exactly, so that stored accuracies compare."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from search_spaces.errors import SpaceError
from search_spaces.space import Choice, SearchSpace, Slot
from search_spaces.spaces.arguments import fixed, halvings, tabular
from search_spaces.spec import OperatorSpec

EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))  # in the order of the benchmark's strings
OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
PRESETS = {"cifar10": 10, "cifar100": 100, "imagenet16": 120}
CELLS = 5  # of each width


def make(**definition: Any) -> SearchSpace:
    """One cell of four points and six edges, each with one of five operations, stacked 5 times at 16, 32 and 64 channels
    (Dong & Yang, arXiv 2001.00326).

    Args:
        definition: preset (``cifar10``, ``cifar100`` or ``imagenet16``), resolutions (one side), in_channels, classes.

    Raises:
        SpaceError: an argument is unknown or illegal.
    """
    whole = tabular("nas-bench-201", definition, PRESETS, 16 if definition.get("preset") == "imagenet16" else 32)
    side, channels, classes = whole["resolutions"][0], whole["in_channels"], whole["classes"]
    first = fixed("conv_norm_stem", (channels, side, side), channels=channels, dim=16, active=0)
    slots, start, cell = [Slot("stem", (), first, target="start")], "start", 0
    for stage, width in enumerate((16, 32, 64)):
        now = halvings(side, stage)
        if stage:
            before = (width // 2, halvings(side, stage - 1), halvings(side, stage - 1))
            down = fixed("basic_block", before, dim_in=width // 2, dim_out=width)
            slots.append(Slot(f"downsample{stage + 1}", (), down, source=start, target=f"stage{stage + 1}"))
            start = f"stage{stage + 1}"
        for _ in range(CELLS):
            cell += 1
            points = [start, *(f"cell{cell}.{point}" for point in (1, 2, 3))]
            for a, b in EDGES:
                slots += _edge(f"cell{cell}.edge{a}{b}", f"edge{a}{b}", points[a], points[b], (width, now, now))
            start = points[3]
    now = halvings(side, 2)
    slots.append(Slot("head", (), fixed("norm_pooled_head", (64, now, now), dim=64, classes=classes), source=start))
    choices = [Choice(f"edge{a}{b}", OPERATIONS) for a, b in EDGES]
    return SearchSpace(f"nas-bench-201/{whole['preset']}", whole, choices, slots)


def _edge(key: str, gene: str, source: str, target: str, shape: tuple[int, ...]) -> Iterator[Slot]:
    """One slot for each operation of an edge."""
    dim = shape[0]
    specs = {
        "none": OperatorSpec.of("zero", shape, dim=dim),
        "skip_connect": OperatorSpec.of("identity", shape, dim=dim),
        "nor_conv_1x1": OperatorSpec.of("relu_conv_norm", shape, dim=dim, kernel=1),
        "nor_conv_3x3": OperatorSpec.of("relu_conv_norm", shape, dim=dim, kernel=3),
        "avg_pool_3x3": OperatorSpec.of("plain_pooling", shape, dim=dim),
    }
    for name, spec in specs.items():
        yield Slot(f"{key}.{name}", (), fixed(spec.name, shape, **dict(spec.sizes)), (gene, (name,)), source, target)


def genes_of(text: str) -> list[int]:
    """Gene row of the benchmark's string ``|op~0|+|op~0|op~1|+|op~0|op~1|op~2|``.

    Raises:
        SpaceError: ``text`` is no such string.
    """
    found = [part.partition("~") for point in text.split("+") for part in point.strip("|").split("|")]
    if [end for _, _, end in found] != [str(a) for a, _ in EDGES] or any(op not in OPERATIONS for op, _, _ in found):
        raise SpaceError(
            f"nas-bench-201: got {text!r}; legal: |op~0|+|op~0|op~1|+|op~0|op~1|op~2| of {', '.join(OPERATIONS)}"
        )
    return [OPERATIONS.index(op) for op, _, _ in found]
