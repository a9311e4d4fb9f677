"""Evidence for neighbourhood attention."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from search_spaces.operators.neighbourhood import NeighbourhoodAttention
from search_spaces.operators.window import RelativeAttention
from search_spaces.references.dense import dense, image, seeded, share, table_entry
from search_spaces.references.registry import degenerate, reference
from search_spaces.references.window import full_attention, without_position


def nearest(place: int, side: int, kernel: int, dilation: int) -> list[int]:
    """The ``kernel`` places nearest to ``place`` among those a multiple of ``dilation`` away."""
    candidates = range(place % dilation, side, dilation)
    return sorted(candidates, key=lambda other: abs(other - place))[:kernel]


@reference("neighbourhood_attention")
def neighbourhood_attention(op: Any, x: Tensor) -> Tensor:
    """All pairs of tokens, those that are not among the nearest along each axis hidden."""
    entry = table_entry(op.table)
    sides = []
    for side in x.shape[2:]:
        kernel = min(op.kernel, side)
        dilation = max(d for d in range(1, op.dilation + 1) if kernel * d <= side or d == 1)
        sides.append((dilation, [nearest(place, side, kernel, dilation) for place in range(side)]))
    (down, rows), (across, columns) = sides

    def score(y: int, x: int, y2: int, x2: int) -> Sequence[float] | None:
        if y2 not in rows[y] or x2 not in columns[x]:
            return None
        return entry((y - y2) // down, (x - x2) // across)

    return dense(op, x, score)


@degenerate("neighbourhood_attention", "kernel = image, dilation 1, no table: full attention")
def whole_image() -> tuple[Tensor, Tensor]:
    op = without_position(seeded(NeighbourhoodAttention, dim=12, heads=3, head_dim=4, kernel=7, dilation=1))
    x = image(2, 12, 7, 5)
    return op(x), full_attention(op)(x)


@degenerate("neighbourhood_attention", "kernel = image, dilation 1: full attention with the same table")
def whole_image_with_table() -> tuple[Tensor, Tensor]:
    op, x = seeded(NeighbourhoodAttention, dim=12, heads=3, head_dim=4, kernel=7, dilation=1), image(2, 12, 7, 7)
    return op(x), share(seeded(RelativeAttention, dim=12, heads=3, head_dim=4, reach=6), op)(x)


@degenerate("neighbourhood_attention", "dilated: neighbourhood attention of each sub-image by itself")
def sub_images() -> tuple[Tensor, Tensor]:
    op, x = seeded(NeighbourhoodAttention, dim=12, heads=3, head_dim=4, kernel=3, dilation=2), image(2, 12, 11, 8)
    plain = share(seeded(NeighbourhoodAttention, dim=12, heads=3, head_dim=4, kernel=3, dilation=1), op)
    wanted = torch.zeros_like(x)
    for down in range(2):
        for across in range(2):
            wanted[:, :, down::2, across::2] = plain(x[:, :, down::2, across::2])
    return op(x), wanted


@degenerate("neighbourhood_attention", "kernel 1: a linear map")
def itself() -> tuple[Tensor, Tensor]:
    op, x = seeded(NeighbourhoodAttention, dim=12, heads=3, head_dim=4, kernel=1, dilation=4), image(2, 12, 4, 5)
    values = x.movedim(1, -1) @ op.qkv.weight[24:].T + op.qkv.bias[24:]
    return op(x).movedim(1, -1), values @ op.out.weight.T + op.out.bias
