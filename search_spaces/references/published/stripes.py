"""Stripes as rectangular windows of timm, one direction after the other."""

from __future__ import annotations

import torch
from torch import Tensor

from search_spaces.operators.stripes import StripeAttention
from search_spaces.references.dense import image, seeded
from search_spaces.references.published.attention import assign, first, last
from search_spaces.references.published.packages import package_module
from search_spaces.references.registry import published
from search_spaces.references.window import without_position


@published("stripe_attention", "SwinTransformerBlock._attn (timm) with each direction's stripes, without LePE", "timm")
def rectangles() -> tuple[Tensor, Tensor]:
    op, x = seeded(StripeAttention, dim=12, heads=4, head_dim=6, stripe=2), image(2, 12, 6, 4)
    without_position(op, "position.weight", "position.bias")
    block = package_module("timm.models.swin_transformer").SwinTransformerBlock
    weight, bias = (t.unflatten(0, (3, 2, 12)) for t in (op.qkv.weight, op.qkv.bias))
    outs = op.out.weight.chunk(2, 1)
    wanted = torch.zeros_like(x)
    for half, window in enumerate(((2, 4), (6, 2))):
        other = block(12, (6, 4), num_heads=2, window_size=window)
        values = {"attn.qkv.weight": weight[:, half], "attn.qkv.bias": bias[:, half], "attn.proj.weight": outs[half]}
        table = torch.zeros_like(other.attn.relative_position_bias_table)
        values |= {"attn.proj.bias": op.out.bias / 2, "attn.relative_position_bias_table": table}
        wanted = wanted + first(assign(other, values)._attn(last(x)))
    return op(x), wanted
