"""Evidence for linear attention: each against its quadratic form, all pairs of tokens."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from search_spaces.references.attention_projections import (
    attention_map,
    depthwise,
    example,
    grid_means,
    head,
    image_of,
    linear,
    made,
    mhsa_like,
    qkv,
    tokens_of,
)
from search_spaces.references.registry import degenerate, reference


def _pairs(q: Tensor, k: Tensor, v: Tensor, heads: int, feature: Callable[[Tensor], Tensor]) -> Tensor:
    """Attention whose weights are products of features, divided by their sum, written as a map of all pairs."""
    parts = []
    for index in range(heads):
        a, b, c = (head(t, heads, index) for t in (q, k, v))
        weights = torch.einsum("bld,bmd->blm", feature(a), feature(b))
        parts.append(torch.einsum("blm,bmd->bld", weights / (weights.sum(-1, keepdim=True) + 1e-6), c))
    return torch.cat(parts, -1)


def _output(op: Any, mixed: Tensor, x: Tensor) -> Tensor:
    return image_of(linear(op.out, mixed), *x.shape[2:])


def _local(op: Any, v: Tensor, x: Tensor) -> Tensor:
    return tokens_of(depthwise(image_of(v, *x.shape[2:]), op.local.weight, op.local.bias))


@reference("linear_attention")
def linear_attention(op: Any, x: Tensor) -> Tensor:
    """The kernel is x + 1 above zero and the exponential below."""
    feature = lambda t: t.clamp(min=0) + t.clamp(max=0).exp()  # noqa: E731
    return _output(op, _pairs(*qkv(op, tokens_of(x)), op.heads, feature), x)


@reference("focused_linear_attention")
def focused_linear_attention(op: Any, x: Tensor) -> Tensor:
    """Powers first, then back to the length."""

    def feature(t: Tensor) -> Tensor:
        t = t.clamp(min=0)
        power = t**op.focus
        return power * t.norm(dim=-1, keepdim=True) / power.norm(dim=-1, keepdim=True).clamp(min=1e-300)

    q, k, v = qkv(op, tokens_of(x))
    return _output(op, _pairs(q, k, v, op.heads, feature) + _local(op, v, x), x)


@reference("efficient_attention")
def efficient_attention(op: Any, x: Tensor) -> Tensor:
    """The map of all pairs is the product of the two normalised matrices; its rows sum to one."""
    q, k, v = qkv(op, tokens_of(x))
    parts = []
    for index in range(op.heads):
        a, b = head(q, op.heads, index).exp(), head(k, op.heads, index).exp()
        a, b = a / a.sum(2, keepdim=True), b / b.sum(1, keepdim=True)
        weights = torch.einsum("bld,bmd->blm", a, b)
        parts.append(torch.einsum("blm,bmd->bld", weights, head(v, op.heads, index)))
    return _output(op, torch.cat(parts, -1), x)


@reference("hydra_attention")
def hydra_attention(op: Any, x: Tensor) -> Tensor:
    """Token by token: every channel is a head, whose weight for a pair of tokens is one product."""
    q, k, v = qkv(op, tokens_of(x))
    q, k = (t / t.norm(dim=-1, keepdim=True) for t in (q, k))
    mixed = torch.zeros_like(v)
    for token in range(v.shape[1]):
        mixed = mixed + (q * k[:, token, None]) * v[:, token, None]
    return _output(op, mixed, x)


@reference("agent_attention")
def agent_attention(op: Any, x: Tensor) -> Tensor:
    """Two dense maps, head by head; an agent is the mean query of its region."""
    q, k, v = qkv(op, tokens_of(x))
    agents = grid_means(image_of(q, *x.shape[2:]), op.side)
    parts = []
    for index in range(op.heads):
        a, b, c, d = (head(t, op.heads, index) for t in (q, k, v, agents))
        weights = torch.einsum("bla,bam->blm", attention_map(a, d), attention_map(d, b))
        parts.append(torch.einsum("blm,bmd->bld", weights, c))
    return _output(op, torch.cat(parts, -1) + _local(op, v, x), x)


@reference("lite_mla")
def lite_mla(op: Any, x: Tensor) -> Tensor:
    """Scale by scale; the linear map of each head and each of query, key and value is applied by itself."""
    first = linear(op.qkv, tokens_of(x))
    parts = []
    for branch in (None, *op.aggregate):
        t = first
        if branch is not None:
            t = tokens_of(depthwise(image_of(first, *x.shape[2:]), branch[0].weight))
            groups = branch[1].weight.flatten(1).chunk(3 * op.heads)
            pairs = zip(t.chunk(3 * op.heads, -1), groups, strict=True)
            t = torch.cat([torch.einsum("bld,ed->ble", channels, weight) for channels, weight in pairs], -1)
        q, k, v = t.chunk(3, -1)
        parts.append(_pairs(q, k, v, op.heads, lambda t: t.clamp(min=0)))
    return _output(op, torch.cat(parts, -1), x)


def _relu_attention(op: Any, x: Tensor) -> Tensor:
    """The registered ReLU linear attention with the weights of ``op``, whose ``local`` convolution is its position."""
    state = {name: t.flatten(1) if t.ndim == 4 and "local" not in name else t for name, t in op.state_dict().items()}
    plain = made("relu_attention", dim=12, heads=3, head_dim=8)
    for t in plain.parameters():
        t.data.zero_()
    plain.load_state_dict({name.replace("local", "position"): t for name, t in state.items()}, strict=False)
    return plain(x)


@degenerate("linear_attention", "queries and keys above zero: relu_attention of queries and keys plus one")
def above_zero() -> tuple[Tensor, Tensor]:
    op, x = made("linear_attention", dim=12, heads=3, head_dim=8), example(1, 2, 12, 5, 7)
    op.qkv.bias.data[:48] = 20
    shifted = made("linear_attention", dim=12, heads=3, head_dim=8)
    shifted.load_state_dict(op.state_dict())
    shifted.qkv.bias.data[:48] += 1
    return op(x), _relu_attention(shifted, x)


@degenerate(
    "focused_linear_attention", "power 1: relu_attention, whose position branch is the convolution of the values"
)
def power_one() -> tuple[Tensor, Tensor]:
    op = made("focused_linear_attention", dim=12, heads=3, head_dim=8, kernel=3, focus=1)
    x = example(1, 2, 12, 5, 7)
    return op(x), _relu_attention(op, x)


@degenerate("lite_mla", "one scale: relu_attention")
def one_scale() -> tuple[Tensor, Tensor]:
    op, x = made("lite_mla", dim=12, heads=3, head_dim=8, scales=0, kernel=3), example(1, 2, 12, 5, 7)
    return op(x), _relu_attention(op, x)


@degenerate("lite_mla", "aggregation that changes nothing: relu_attention with the maps out added up")
def empty_aggregation() -> tuple[Tensor, Tensor]:
    op, x = made("lite_mla", dim=12, heads=3, head_dim=8, scales=2, kernel=3), example(1, 2, 12, 5, 7)
    for branch in op.aggregate:
        middle = branch[0].kernel_size[0] // 2
        branch[0].weight.data.zero_()[:, :, middle, middle] = 1
        branch[1].weight.data.copy_(torch.eye(8).repeat(9, 1)[:, :, None, None])
    plain = made("lite_mla", dim=12, heads=3, head_dim=8, scales=0, kernel=3)
    weight = op.out.weight.unflatten(1, (3, 24)).sum(1)
    plain.load_state_dict({"qkv.weight": op.qkv.weight, "out.weight": weight, "out.bias": op.out.bias})
    return op(x), _relu_attention(plain, x)


def _mean_of_values(op: Any, x: Tensor, scale: float = 1.0) -> Tensor:
    inner = op.qkv.weight.shape[0] // 3
    values = x.mean((2, 3)) @ op.qkv.weight[2 * inner :].mT + op.qkv.bias[2 * inner :]
    return (scale * values @ op.out.weight.mT + op.out.bias)[:, :, None, None].expand_as(x)


@degenerate("efficient_attention", "keys of zero: the mean of all values")
def zero_keys() -> tuple[Tensor, Tensor]:
    op, x = made("efficient_attention", dim=12, heads=3, head_dim=8), example(1, 2, 12, 5, 7)
    op.qkv.weight.data[24:48].zero_()
    op.qkv.bias.data[24:48].zero_()
    return op(x), _mean_of_values(op, x)


@degenerate("hydra_attention", "constant queries and keys: the mean of all values, times tokens over channels")
def constant_queries() -> tuple[Tensor, Tensor]:
    op, x = made("hydra_attention", dim=12, expansion=2), example(1, 2, 12, 5, 7)
    op.qkv.weight.data[:48].zero_()
    op.qkv.bias.data[:48].fill_(1)
    return op(x), _mean_of_values(op, x, 35 / 24)


@degenerate("agent_attention", "an agent a token, queries so long and orthogonal that each meets only itself: mhsa")
def own_agent() -> tuple[Tensor, Tensor]:
    op = made("agent_attention", dim=16, heads=1, head_dim=16, kernel=3, side=7)
    x = torch.linalg.qr(example(1, 2, 16, 12)).Q.unflatten(-1, (3, 4))  # tokens are orthonormal
    op.qkv.weight.data[:16] = 40 * torch.eye(16)
    op.qkv.bias.data[:16].zero_()
    for t in op.local.parameters():
        t.data.zero_()
    return op(x), mhsa_like(op, x)
