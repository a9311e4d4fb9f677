"""Evidence for attention between channels."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from search_spaces.operators import get_operator
from search_spaces.references.attention_projections import (
    depthwise,
    example,
    head,
    image_of,
    layer_norm,
    linear,
    made,
    qkv,
    tokens_of,
)
from search_spaces.references.registry import degenerate, reference


def _mix(scores: Tensor, v: Tensor) -> Tensor:
    """Every output channel is a weighted sum of the channels of ``v`` ``(B, L, d)``; scores are ``(B, d, d)``."""
    channels = []
    for row in scores.unbind(1):
        weights = row.exp() / row.exp().sum(-1, keepdim=True)
        channels.append((v * weights[:, None]).sum(-1))
    return torch.stack(channels, -1)


def _cross_covariance(op: Any, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Cosines between channels, one pair after another."""
    parts = []
    for index in range(op.heads):
        a, b = head(q, op.heads, index), head(k, op.heads, index)
        cosines = [
            [
                (a[..., i] * b[..., j]).sum(1) / (a[..., i].norm(dim=1) * b[..., j].norm(dim=1))
                for j in range(b.shape[2])
            ]
            for i in range(a.shape[2])
        ]
        scores = torch.stack([torch.stack(row, -1) for row in cosines], 1) * op.temperature[index]
        parts.append(_mix(scores, head(v, op.heads, index)))
    return linear(op.out, torch.cat(parts, -1))


@reference("channel_group_attention")
def channel_group_attention(op: Any, x: Tensor) -> Tensor:
    """Group by group, channel by channel."""
    q, k, v = qkv(op, tokens_of(x))
    parts = []
    for index in range(op.heads):
        a, b = head(q, op.heads, index), head(k, op.heads, index)
        scores = torch.einsum("bli,blj->bij", a, b) / a.shape[-1] ** 0.5
        parts.append(_mix(scores - scores.amax(-1, keepdim=True), head(v, op.heads, index)))
    return image_of(linear(op.out, torch.cat(parts, -1)), *x.shape[2:])


@reference("xca")
def xca(op: Any, x: Tensor) -> Tensor:
    """Cosine by cosine."""
    return image_of(_cross_covariance(op, *qkv(op, tokens_of(x))), *x.shape[2:])


@reference("transposed_attention")
def transposed_attention(op: Any, x: Tensor) -> Tensor:
    """Tap by tap, then cosine by cosine."""
    maps = [image_of(t, *x.shape[2:]) for t in qkv(op, tokens_of(x))]
    weights, biases = op.local.weight.chunk(3), op.local.bias.chunk(3)
    mixed = [tokens_of(depthwise(m, w, b)) for m, w, b in zip(maps, weights, biases, strict=True)]
    return image_of(_cross_covariance(op, *mixed), *x.shape[2:])


@reference("stda")
def stda(op: Any, x: Tensor) -> Tensor:
    """Group by group of channels, then cosine by cosine."""
    dim = x.shape[1]
    starts = range(0, dim, op.width)
    done: list[Tensor] = []
    for start in starts:
        mine = slice(start, start + op.width)
        if mine.stop >= dim:  # the last group is passed on
            done.append(x[:, mine])
            continue
        group = x[:, mine] + done[-1] if done else x[:, mine]
        done.append(depthwise(group, op.cascade.weight[mine], op.cascade.bias[mine]))
    tokens = tokens_of(torch.cat(done, 1))
    return image_of(tokens + _cross_covariance(op, *qkv(op, layer_norm(op.norm, tokens))), *x.shape[2:])


def _uniform(name: str, **sizes: int) -> tuple[Tensor, Tensor]:
    """Queries of zero, or a temperature of zero, weigh all channels of a head alike."""
    op, x = made(name, dim=12, heads=3, head_dim=4, **sizes), example(1, 2, 12, 5, 7)
    if name == "channel_group_attention":
        op.qkv.weight.data[:12].zero_()
        op.qkv.bias.data[:12].zero_()
    else:
        op.temperature.data.zero_()
    values = (x.flatten(2).mT @ op.qkv.weight[24:].mT + op.qkv.bias[24:]).unflatten(-1, (3, 4))
    mean = values.mean(-1, keepdim=True).expand_as(values).flatten(2)
    return op(x), (mean @ op.out.weight.mT + op.out.bias).mT.unflatten(-1, (5, 7))


@degenerate("channel_group_attention", "queries zero: the mean of each group's values")
def uniform_groups() -> tuple[Tensor, Tensor]:
    return _uniform("channel_group_attention")


@degenerate("xca", "temperature zero: the mean of each head's values")
def uniform_heads() -> tuple[Tensor, Tensor]:
    return _uniform("xca")


def _as_xca(op: Any, x: Tensor) -> Tensor:
    plain = made("xca", dim=12, heads=3, head_dim=4)
    plain.load_state_dict({name: t for name, t in op.state_dict().items() if name in plain.state_dict()})
    return plain(x)


@degenerate("xca", "query and key channels of length one over the tokens: softmax(q^T k) v, channel_group_attention")
def unit_channels() -> tuple[Tensor, Tensor]:
    """On tokens that are orthonormal, channels of an orthogonal projection have length one by themselves."""
    op = made("xca", dim=12, heads=3, head_dim=4)
    basis = torch.linalg.qr(example(2, 2, 12, 12)).Q
    turn = torch.linalg.qr(example(3, 2, 12, 12)).Q
    op.qkv.weight.data[:24] = turn.flatten(0, 1)
    op.qkv.bias.data[:24].zero_()
    other = made("channel_group_attention", dim=12, heads=3, head_dim=4)
    other.load_state_dict({name: t for name, t in op.state_dict().items() if name != "temperature"})
    other.qkv.weight.data[:12] *= 2  # its scores are divided by the root of 4
    x = basis.unflatten(-1, (3, 4))
    return op(x), other(x)


@degenerate("transposed_attention", "1 x 1 kernels of one: xca")
def no_convolution() -> tuple[Tensor, Tensor]:
    op, x = made("transposed_attention", dim=12, heads=3, head_dim=4, kernel=1), example(1, 2, 12, 5, 7)
    op.local.weight.data.fill_(1)
    op.local.bias.data.zero_()
    return op(x), _as_xca(op, x)


@degenerate("stda", "one split, inner norm taken away: the input plus xca")
def one_split() -> tuple[Tensor, Tensor]:
    op, x = made("stda", dim=12, heads=3, head_dim=4, kernel=3, splits=1), example(1, 2, 12, 5, 7)
    op.norm = torch.nn.Identity()
    return op(x), x + _as_xca(op, x)


def _cost_is_linear(name: str, **sizes: int) -> tuple[Tensor, Tensor]:
    operator = get_operator(name)
    few, many = (operator.work(side, side, dim=12, heads=3, head_dim=4, **sizes)[0] for side in (8, 64))
    return torch.tensor(float(many)), torch.tensor(64.0 * few)


@degenerate("channel_group_attention", "64 times the tokens: 64 times the multiply-accumulates")
def linear_groups() -> tuple[Tensor, Tensor]:
    return _cost_is_linear("channel_group_attention")


@degenerate("xca", "64 times the tokens: 64 times the multiply-accumulates")
def linear_xca() -> tuple[Tensor, Tensor]:
    return _cost_is_linear("xca")


@degenerate("transposed_attention", "64 times the tokens: 64 times the multiply-accumulates")
def linear_transposed() -> tuple[Tensor, Tensor]:
    return _cost_is_linear("transposed_attention", kernel=3)


@degenerate("stda", "64 times the tokens: 64 times the multiply-accumulates")
def linear_stda() -> tuple[Tensor, Tensor]:
    return _cost_is_linear("stda", kernel=3, splits=3)
