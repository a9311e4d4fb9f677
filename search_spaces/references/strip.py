"""Evidence for strip self-attention."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from search_spaces.references.attention_projections import (
    dense_attention,
    example,
    image_of,
    linear,
    made,
    mhsa_like,
    tokens_of,
)
from search_spaces.references.registry import degenerate, reference


@reference("strip_attention")
def strip_attention(op: Any, x: Tensor) -> Tensor:
    """Every reduced pixel is a sum over its block; the pixels that a cut block lacks count as zero."""
    reduced = tokens_of(x)
    if op.shrink is not None:
        sums = []
        for i in range(0, x.shape[2], op.ratio):
            for j in range(0, x.shape[3], op.ratio):
                block = x[:, :, i : i + op.ratio, j : j + op.ratio]
                kernel = op.shrink.weight[:, 0, : block.shape[2], : block.shape[3]]
                sums.append((block * kernel).sum((2, 3)) + op.shrink.bias)
        reduced = torch.stack(sums, 1)
    q, k, v = linear(op.query, tokens_of(x)), linear(op.key, reduced), linear(op.value, reduced)
    return image_of(linear(op.out, dense_attention(q, k, v, op.heads)), *x.shape[2:])


@degenerate("strip_attention", "both reductions 1: mhsa")
def no_reduction() -> tuple[Tensor, Tensor]:
    op, x = made("strip_attention", dim=12, heads=3, head_dim=8, key_dim=8, ratio=1), example(1, 2, 12, 5, 7)
    return op(x), mhsa_like(op, x)


@degenerate("strip_attention", "kernel that averages, no compression: e_mhsa")
def averaging_kernel() -> tuple[Tensor, Tensor]:
    op, x = made("strip_attention", dim=12, heads=3, head_dim=8, key_dim=8, ratio=2), example(1, 2, 12, 6, 8)
    op.shrink.weight.data.fill_(0.25)
    op.shrink.bias.data.zero_()
    other = made("e_mhsa", dim=12, heads=3, head_dim=8, ratio=2)
    other.load_state_dict({name: t for name, t in op.state_dict().items() if not name.startswith("shrink")})
    return op(x), other(x)


@degenerate("strip_attention", "compressed queries and keys: mhsa whose other channels of queries and keys are zero")
def zero_channels() -> tuple[Tensor, Tensor]:
    """The wider attention divides by the root of its wider heads, so its queries are scaled up."""
    op, x = made("strip_attention", dim=12, heads=3, head_dim=8, key_dim=2, ratio=1), example(1, 2, 12, 5, 7)
    wide = made("strip_attention", dim=12, heads=3, head_dim=8, key_dim=8, ratio=1)
    wide.value, wide.out = op.value, op.out
    for thin, layer, scale in ((op.query, wide.query, 2.0), (op.key, wide.key, 1.0)):
        for name, full in layer.named_parameters():
            full.data.zero_().unflatten(0, (3, 8))[:, :2] = scale * getattr(thin, name).unflatten(0, (3, 2))
    return op(x), mhsa_like(wide, x)
