"""MaxViT's attentions against timm."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from search_spaces.operators.block_grid import BlockGridAttention, GridAttention
from search_spaces.references.dense import image, seeded
from search_spaces.references.published.attention import SIZES, assign, first, last, projections
from search_spaces.references.published.packages import package_module
from search_spaces.references.published.window import flat_table
from search_spaces.references.registry import published


def _theirs(op: Any, partition: str, side: int) -> Any:
    maxxvit = package_module("timm.models.maxxvit")
    config = maxxvit.MaxxVitTransformerCfg(dim_head=4, window_size=(side, side), grid_size=(side, side))
    config.head_first, config.rel_pos_type = False, "bias"
    other = maxxvit.PartitionAttentionCl(12, partition, config)
    other.norm1, other.mlp = nn.Identity(), nn.Identity()
    names = {**projections(op, "attn.qkv", "attn.proj"), "attn.rel_pos.relative_position_bias_table": flat_table(op)}
    return assign(other, names)


@published("grid_attention", "PartitionAttentionCl (timm), grid", "timm")
def timm_grid() -> tuple[Tensor, Tensor]:
    op, x = seeded(GridAttention, grid=4, **SIZES), image(2, 12, 12, 8)
    return op(x), first(_theirs(op, "grid", 4)._partition_attn(last(x)))


@published("block_grid_attention", "PartitionAttentionCl (timm), block and grid with their residual steps", "timm")
def timm_block_grid() -> tuple[Tensor, Tensor]:
    op, x = seeded(BlockGridAttention, block=4, grid=4, **SIZES), image(2, 12, 12, 8)
    y = last(x)
    for name in ("block", "grid"):
        y = y + _theirs(getattr(op, name), name, 4)._partition_attn(y)
    return op(x), first(y) - x
