"""Evidence for additive attention."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from search_spaces.references.attention_projections import depthwise, example, image_of, linear, made, tokens_of
from search_spaces.references.registry import degenerate, reference


def _context(part: Any, x: Tensor) -> Tensor:
    """Pixel by pixel, then channel by channel."""
    local = depthwise(x, part.depthwise.weight, part.depthwise.bias).clamp(min=0)
    pixels = (local * part.pixel.weight[0]).sum(1, keepdim=True)
    x = x / (1 + (-pixels).exp())
    means = tokens_of(x).mean(1)
    channels = (part.channel.weight.flatten(1) * means[:, None]).sum(-1)
    return x / (1 + (-channels).exp())[:, :, None, None]


@reference("conv_additive_attention")
def conv_additive_attention(op: Any, x: Tensor) -> Tensor:
    """Tap by tap, gates by the logistic function."""
    height, width = x.shape[2:]
    q, k, v = (image_of(t, height, width) for t in linear(op.qkv, tokens_of(x)).chunk(3, -1))
    mixed = depthwise(_context(op.query, q) + _context(op.key, k), op.mix.weight, op.mix.bias) * v
    return image_of(linear(op.out, tokens_of(mixed)), height, width)


@reference("efficient_additive_attention")
def efficient_additive_attention(op: Any, x: Tensor) -> Tensor:
    """Head by head; the one query is a sum over tokens, one after another."""
    both = linear(op.query_key, tokens_of(x))
    size = both.shape[-1] // 2 // op.heads
    queries, interactions = [], []
    for index in range(op.heads):
        q = both[..., index * size : (index + 1) * size]
        k = both[..., (op.heads + index) * size : (op.heads + index + 1) * size]
        q, k = (t / t.norm(dim=-1, keepdim=True) for t in (q, k))
        weights = torch.stack([(q[:, t] * op.weigh[index, :, 0]).sum(-1) for t in range(q.shape[1])], 1)
        weights = weights / weights.norm(dim=1, keepdim=True)
        total = torch.zeros_like(q[:, 0])
        for t in range(q.shape[1]):
            total = total + weights[:, t, None] * q[:, t]
        queries.append(q)
        interactions.append(k * total[:, None])
    mixed = linear(op.mix, torch.cat(interactions, -1)) + torch.cat(queries, -1)
    return image_of(linear(op.out, mixed), *x.shape[2:])


@degenerate("conv_additive_attention", "gates of zero, one half each: short_conv without its inner gate")
def half_gates() -> tuple[Tensor, Tensor]:
    op, x = made("conv_additive_attention", dim=12, expansion=2, kernel=3), example(1, 2, 12, 5, 7)
    for part in (op.query, op.key):
        part.pixel.weight.data.zero_()
        part.channel.weight.data.zero_()
    op.mix.bias.data.zero_()
    plain = made("short_conv", dim=12, expansion=2, kernel=3)
    for name in ("weight", "bias"):
        q, k, v = getattr(op.qkv, name).chunk(3)
        nothing = torch.zeros_like(q) if name == "weight" else torch.ones_like(q)  # its inner gate is one
        getattr(plain.gates, name).data.copy_(torch.cat([nothing, v, (q + k) / 4]))
    plain.depthwise.weight.data.copy_(op.mix.weight)
    plain.out.load_state_dict(op.out.state_dict())
    return op(x), plain(x)


@degenerate("efficient_additive_attention", "one token: its own query times its key, by the sign of the weight")
def one_token() -> tuple[Tensor, Tensor]:
    op, x = made("efficient_additive_attention", dim=12, heads=1, head_dim=8), example(1, 4, 12, 1, 1)
    q, k = (
        t / t.norm(dim=-1, keepdim=True)
        for t in (x.flatten(1) @ op.query_key.weight.mT + op.query_key.bias).chunk(2, -1)
    )
    sign = (q @ op.weigh[0]).sign()
    return op(x), op.out(op.mix(sign * q * k) + q)[:, :, None, None]


@degenerate("efficient_additive_attention", "no mixing map: each token's own query of length one")
def no_mixing() -> tuple[Tensor, Tensor]:
    op, x = made("efficient_additive_attention", dim=12, heads=2, head_dim=8), example(1, 2, 12, 5, 7)
    for t in op.mix.parameters():
        t.data.zero_()
    q = (x.movedim(1, -1) @ op.query_key.weight[:16].mT + op.query_key.bias[:16]).unflatten(-1, (2, 8))
    q = (q / q.norm(dim=-1, keepdim=True)).flatten(-2)
    return op(x), (q @ op.out.weight.mT + op.out.bias).movedim(-1, 1)
