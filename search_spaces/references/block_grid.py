"""Evidence for grid attention and MaxViT's block and grid attention."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from search_spaces.operators.block_grid import BlockGridAttention, GridAttention
from search_spaces.operators.window import WindowAttention
from search_spaces.references.dense import dense, image, seeded, share, table_entry
from search_spaces.references.registry import degenerate, reference
from search_spaces.references.window import full_attention, window_attention, without_position


@reference("grid_attention")
def grid_attention(op: Any, x: Tensor) -> Tensor:
    """Two tokens see each other if they lie at the same place of their cells."""
    cell_y, cell_x = (math.ceil(side / op.sizes["grid"]) for side in x.shape[2:])
    entry = table_entry(op.table)

    def score(y: int, x: int, y2: int, x2: int) -> Sequence[float] | None:
        if (y - y2) % cell_y or (x - x2) % cell_x:
            return None
        return entry((y - y2) // cell_y, (x - x2) // cell_x)

    return dense(op, x, score)


@reference("block_grid_attention")
def block_grid_attention(op: Any, x: Tensor) -> Tensor:
    """The two residual steps one after the other, less the input."""
    after = x + window_attention(op.block, x)
    return after + grid_attention(op.grid, after) - x


@degenerate("grid_attention", "grid = image, no table: full attention")
def grid_of_tokens() -> tuple[Tensor, Tensor]:
    op, x = without_position(seeded(GridAttention, dim=12, heads=3, head_dim=4, grid=7)), image(2, 12, 7, 5)
    return op(x), full_attention(op)(x)


@degenerate(
    "grid_attention", "window attention of the image with cells and places exchanged (the permutation round-trips)"
)
def permuted() -> tuple[Tensor, Tensor]:
    op, x = seeded(GridAttention, dim=12, heads=3, head_dim=4, grid=4), image(2, 12, 12, 8)
    windows = share(seeded(WindowAttention, dim=12, heads=3, head_dim=4, window=4, shift=0), op)
    exchanged = x.unflatten(3, (4, 2)).unflatten(2, (4, 3)).transpose(2, 3).transpose(4, 5).reshape(x.shape)
    y = windows(exchanged)
    return op(x), y.unflatten(3, (2, 4)).unflatten(2, (3, 4)).transpose(2, 3).transpose(4, 5).reshape(x.shape)


@degenerate("block_grid_attention", "grid silent: window attention")
def block_only() -> tuple[Tensor, Tensor]:
    op, x = seeded(BlockGridAttention, dim=12, heads=3, head_dim=4, block=4, grid=4), image(2, 12, 9, 6)
    with torch.no_grad():
        op.grid.out.weight.zero_(), op.grid.out.bias.zero_()
    return op(x), op.block(x)


@degenerate("block_grid_attention", "block silent: grid attention")
def grid_only() -> tuple[Tensor, Tensor]:
    op, x = seeded(BlockGridAttention, dim=12, heads=3, head_dim=4, block=4, grid=4), image(2, 12, 9, 6)
    with torch.no_grad():
        op.block.out.weight.zero_(), op.block.out.bias.zero_()
    return op(x), op.grid(x)
