"""Evidence for global attention over images."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from search_spaces.operators.attention import MultiHeadAttention, ReluAttention
from search_spaces.references.dense import (
    as_heads,
    as_image,
    depthwise,
    emit,
    image,
    project,
    seeded,
    softmax_attention,
)
from search_spaces.references.registry import degenerate, reference


@reference("mhsa")
def attention(op: Any, x: Tensor) -> Tensor:
    """All pairs of tokens, and the positional convolution by unfolding."""
    q, k, v = project(op, x)
    place = depthwise(op.position, as_image(v, x))
    return emit(op, softmax_attention(q, k, v) + as_heads(place, op.heads), x)


@reference("relu_attention")
def relu_attention(op: Any, x: Tensor) -> Tensor:
    """The quadratic form: weights relu(q) relu(k)^T, divided by their sum."""
    q, k, v = project(op, x)
    place = depthwise(op.position, as_image(v, x))
    weight = torch.einsum("bhid,bhjd->bhij", q.clamp(min=0), k.clamp(min=0))
    mixed = torch.einsum("bhij,bhjd->bhid", weight, v) / (weight.sum(-1, keepdim=True) + 1e-6)
    return emit(op, mixed + as_heads(place, op.heads), x)


@degenerate("mhsa", "queries zero: the mean of the values")
def no_queries() -> tuple[Tensor, Tensor]:
    op, x = seeded(MultiHeadAttention, dim=12, heads=3, head_dim=4), image(2, 12, 5, 6)
    with torch.no_grad():
        op.qkv.weight[:12].zero_(), op.qkv.bias[:12].zero_(), op.position.weight.zero_(), op.position.bias.zero_()
    _, _, v = project(op, x)
    return op(x), emit(op, v.mean(2, keepdim=True).expand_as(v), x)


@degenerate("mhsa", "one token: a linear map")
def one_token() -> tuple[Tensor, Tensor]:
    op, x = seeded(MultiHeadAttention, dim=12, heads=3, head_dim=4), image(2, 12, 1, 1)
    values = torch.nn.functional.linear(x[..., 0, 0], op.qkv.weight[24:], op.qkv.bias[24:])
    values = values * (1 + op.position.weight[:, 0, 1, 1]) + op.position.bias
    return op(x)[..., 0, 0], values @ op.out.weight.T + op.out.bias


@degenerate("relu_attention", "constant keys: the mean of the values")
def same_keys() -> tuple[Tensor, Tensor]:
    op, x = seeded(ReluAttention, dim=12, heads=3, head_dim=4), image(2, 12, 5, 6)
    with torch.no_grad():
        op.qkv.weight[:24].zero_(), op.qkv.bias[:24].fill_(1), op.position.weight.zero_(), op.position.bias.zero_()
    _, _, v = project(op, x)
    return op(x), emit(op, v.mean(2, keepdim=True).expand_as(v), x)
