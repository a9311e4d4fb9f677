"""Evidence for cross-shaped stripes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from search_spaces.operators.attention import MultiHeadAttention
from search_spaces.operators.stripes import StripeAttention
from search_spaces.references.dense import (
    as_heads,
    as_image,
    depthwise,
    emit,
    image,
    project,
    score_table,
    seeded,
    share,
    softmax_attention,
)
from search_spaces.references.registry import degenerate, reference


@reference("stripe_attention")
def stripe_attention(op: Any, x: Tensor) -> Tensor:
    """Heads of the first half see the rows of their stripe, heads of the second half its columns."""
    half = op.heads // 2

    def score(y: int, x: int, y2: int, x2: int) -> Sequence[float]:
        rows, columns = (0.0 if a // op.stripe == b // op.stripe else -math.inf for a, b in ((y, y2), (x, x2)))
        return [rows] * half + [columns] * half

    q, k, v = project(op, x)
    mixed = softmax_attention(q, k, v, score_table(x.shape[2], x.shape[3], op.heads, score))
    return emit(op, mixed + as_heads(depthwise(op.position, as_image(v, x)), op.heads), x)


@degenerate("stripe_attention", "stripe = image: full attention with LePE")
def one_stripe() -> tuple[Tensor, Tensor]:
    op, x = seeded(StripeAttention, dim=12, heads=4, head_dim=4, stripe=7), image(2, 12, 7, 5)
    return op(x), share(MultiHeadAttention(dim=12, heads=4, head_dim=4).double(), op)(x)


@degenerate("stripe_attention", "transposed image with the halves of the heads exchanged: the transposed output")
def transposed() -> tuple[Tensor, Tensor]:
    op, x = seeded(StripeAttention, dim=12, heads=4, head_dim=4, stripe=2), image(2, 12, 7, 5)
    other = share(StripeAttention(dim=12, heads=4, head_dim=4, stripe=2).double(), op)
    with torch.no_grad():
        for name in ("qkv.weight", "qkv.bias", "position.weight", "position.bias"):
            value = op.get_parameter(name)
            parts = value.unflatten(0, (-1, 2, 8)).flip(1).flatten(0, 2)
            other.get_parameter(name).copy_(parts.mT if parts.ndim == 4 else parts)
        other.out.weight.copy_(op.out.weight.unflatten(1, (2, 8)).flip(1).flatten(1))
    return op(x), other(x.mT).mT
