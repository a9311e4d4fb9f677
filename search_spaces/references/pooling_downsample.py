"""Evidence for pooling attention between two stages."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from search_spaces.references.attention_projections import (
    dense_attention,
    depthwise,
    example,
    image_of,
    layer_norm,
    linear,
    made,
    qkv,
    tokens_of,
)
from search_spaces.references.registry import degenerate, reference


@reference("pooling_downsample")
def pooling_downsample(op: Any, x: Tensor) -> Tensor:
    """Heads and neighbourhoods one after another."""
    height, width = x.shape[2:]
    tokens = layer_norm(op.norm, tokens_of(x))
    pooled = []
    for part, pool, norm in zip(qkv(op, tokens), op.pool, op.norms, strict=True):
        heads = image_of(part, height, width).chunk(op.heads, 1)
        pooled.append(
            torch.cat([layer_norm(norm, tokens_of(depthwise(h, pool.weight, None, pool.stride[0]))) for h in heads], -1)
        )
    wide = image_of(linear(op.widen, tokens), height, width)
    rows = [
        torch.stack(
            [wide[:, :, max(i - 1, 0) : i + 2, max(j - 1, 0) : j + 2].amax((2, 3)) for j in range(0, width, 2)], -1
        )
        for i in range(0, height, 2)
    ]
    skip = torch.stack(rows, -2)
    q, k, v = pooled
    return skip + image_of(linear(op.out, dense_attention(q, k, v, op.heads)), *skip.shape[2:])


@degenerate("pooling_downsample", "attention of an image of one colour: max_pool of a linear map plus one vector")
def one_colour() -> tuple[Tensor, Tensor]:
    """Where all keys are alike, attention gives the pooled value itself."""
    op = made("pooling_downsample", dim_in=12, dim_out=16, heads=2, head_dim=8, kernel=3, stride=2)
    for pool in op.pool:
        pool.weight.data.zero_()[:, :, 1, 1] = 1
    x = example(1, 2, 12, 1, 1).expand(-1, -1, 6, 8)
    tokens = op.norm(x[:, :, :1, :1]).flatten(1)
    value = (tokens @ op.qkv.weight[32:].mT + op.qkv.bias[32:]).unflatten(-1, (2, 8))
    wanted = op.out(op.norms[2](value).flatten(1)) + tokens @ op.widen.weight.flatten(1).mT + op.widen.bias
    return op(x), wanted[:, :, None, None].expand(-1, -1, 3, 4)
