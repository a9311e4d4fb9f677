"""Evidence for attention with convolutional projections."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from search_spaces.references.attention_projections import (
    dense_attention,
    depthwise,
    example,
    image_of,
    linear,
    made,
    mhsa_like,
    tokens_of,
)
from search_spaces.references.registry import degenerate, reference


@reference("conv_projection_attention")
def conv_projection_attention(op: Any, x: Tensor) -> Tensor:
    """Tap by tap, then head by head and query by query."""
    pairs = ((op.query_conv, op.query), (op.key_conv, op.key), (op.value_conv, op.value))
    q, k, v = (linear(layer, tokens_of(depthwise(x, c.weight, c.bias, c.stride[0]))) for c, layer in pairs)
    return image_of(linear(op.out, dense_attention(q, k, v, op.heads)), *x.shape[2:])


@degenerate("conv_projection_attention", "1 x 1 kernels of one, stride 1: linear projections, mhsa")
def linear_projection() -> tuple[Tensor, Tensor]:
    op = made("conv_projection_attention", dim=12, heads=3, head_dim=8, kernel=1, stride=1)
    for conv in (op.query_conv, op.key_conv, op.value_conv):
        conv.weight.data.fill_(1)
        conv.bias.data.zero_()
    x = example(1, 2, 12, 5, 7)
    return op(x), mhsa_like(op, x)
