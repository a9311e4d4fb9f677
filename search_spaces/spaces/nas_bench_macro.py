"""`nas-bench-macro`: the space of the tabular benchmark, exactly, so that stored accuracies compare."""

from __future__ import annotations

from typing import Any

from search_spaces.errors import SpaceError
from search_spaces.space import Choice, SearchSpace, Slot
from search_spaces.spaces.arguments import fixed, halvings, tabular

BLOCKS = {"identity": (), "mbconv_e3_k3": (3, 3), "mbconv_e6_k5": (6, 5)}  # expansion, kernel
WIDTHS = (64, 64, 128, 128, 128, 256, 256, 256)  # after each of the eight blocks
HALVING = (1, 3, 6)  # blocks of stride 2
PRESETS = {"cifar10": 10}


def make(**definition: Any) -> SearchSpace:
    """Eight blocks, each an identity or one of two inverted residuals; where the image is halved, the identity is a
    projected skip (Su et al., arXiv 2103.11922).

    Args:
        definition: preset (``cifar10``), resolutions (one side), in_channels, classes.

    Raises:
        SpaceError: an argument is unknown or illegal.
    """
    whole = tabular("nas-bench-macro", definition, PRESETS, 32)
    side, channels, classes = whole["resolutions"][0], whole["in_channels"], whole["classes"]
    slots = [Slot("stem", (), fixed("conv_norm_stem", (channels, side, side), channels=channels, dim=32, active=1))]
    width, halved = 32, 0
    for i, out in enumerate(WIDTHS, 1):
        now, stride = halvings(side, halved), 2 if i in HALVING else 1
        for name, sizes in BLOCKS.items():
            when = (f"block{i}", (name,))
            if sizes:
                expansion, kernel = sizes
                spec = fixed(
                    "inverted_residual", (width, now, now),
                    dim_in=width, dim_out=out, expansion=expansion, kernel=kernel, stride=stride,
                )  # fmt: skip
            elif stride == 2:
                spec = fixed("projected_skip", (width, now, now), dim_in=width, dim_out=out)
            else:
                continue  # nothing there at all
            slots.append(Slot(f"block{i}.{name}", (), spec, when))
        width, halved = out, halved + stride - 1
    now = halvings(side, halved)
    head = fixed("conv_pooled_head", (width, now, now), dim=width, features=1280, classes=classes)
    choices = [Choice(f"block{i}", tuple(BLOCKS)) for i in range(1, len(WIDTHS) + 1)]
    return SearchSpace(f"nas-bench-macro/{whole['preset']}", whole, choices, [*slots, Slot("head", (), head)])


def genes_of(text: str) -> list[int]:
    """Gene row of the benchmark's string of eight digits 0 to 2.

    Raises:
        SpaceError: ``text`` is no such string.
    """
    if len(text) != len(WIDTHS) or set(text) - set("012"):
        raise SpaceError(f"nas-bench-macro: got {text!r}; legal: eight digits 0 (identity), 1 (e3 k3) or 2 (e6 k5)")
    return [int(digit) for digit in text]
