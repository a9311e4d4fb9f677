"""Evidence for halo attention."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from search_spaces.operators.halo import HaloAttention
from search_spaces.operators.window import WindowAttention
from search_spaces.references.dense import emit, image, project, score_table, seeded, share, softmax_attention
from search_spaces.references.registry import degenerate, reference
from search_spaces.references.window import full_attention, without_position


@reference("halo_attention")
def halo_attention(op: Any, x: Tensor) -> Tensor:
    """All pairs of tokens, those too far from the query's block hidden; offsets' vectors gathered for every pair."""
    height, width = x.shape[2:]
    block_y, block_x = min(op.block, height), min(op.block, width)

    def near(place: int, other: int, block: int) -> bool:
        start = place // block * block
        return start - op.halo <= other < start + block + op.halo

    def score(y: int, x: int, y2: int, x2: int) -> Sequence[float] | None:
        return [0.0] * op.heads if near(y, y2, block_y) and near(x, x2, block_x) else None

    q, k, v = project(op, x)
    y, z = torch.arange(height).repeat_interleave(width), torch.arange(width).repeat(height)
    reach = op.down.shape[0] // 2
    down, across = ((t[:, None] - t).clamp(-reach, reach) + reach for t in (y, z))
    position = torch.einsum("bhid,ijd->bhij", q, op.down[down] + op.across[across])
    return emit(op, softmax_attention(q, k, v, score_table(height, width, op.heads, score) + position), x)


@degenerate("halo_attention", "halo 0, no positions: window attention")
def no_halo() -> tuple[Tensor, Tensor]:
    op = without_position(seeded(HaloAttention, dim=12, heads=3, head_dim=4, block=4, halo=0), "down", "across")
    window = without_position(seeded(WindowAttention, dim=12, heads=3, head_dim=4, window=4, shift=0))
    x = image(2, 12, 9, 6)
    return op(x), share(window, op)(x)


@degenerate("halo_attention", "halo = image, no positions: full attention")
def wide_halo() -> tuple[Tensor, Tensor]:
    op = without_position(seeded(HaloAttention, dim=12, heads=3, head_dim=4, block=4, halo=6), "down", "across")
    x = image(2, 12, 7, 5)
    return op(x), full_attention(op)(x)
