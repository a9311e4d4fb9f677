"""Slow forms that the references of attention mixers share, and plain attention with given weights to compare with."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from search_spaces.operators import get_operator


def tokens_of(x: Tensor) -> Tensor:
    """``(B, C, H, W)`` -> ``(B, H*W, C)`` by stacking pixels."""
    return torch.stack([x[:, :, i, j] for i in range(x.shape[2]) for j in range(x.shape[3])], 1)


def image_of(tokens: Tensor, height: int, width: int) -> Tensor:
    """``(B, H*W, C)`` -> ``(B, C, H, W)``, pixel by pixel."""
    rows = [[tokens[:, i * width + j] for j in range(width)] for i in range(height)]
    return torch.stack([torch.stack(row, -1) for row in rows], -2)


def linear(layer: nn.Linear | nn.Conv2d, tokens: Tensor) -> Tensor:
    """A linear map or 1x1 convolution of tokens ``(B, L, C)``."""
    y = torch.einsum("blc,oc->blo", tokens, layer.weight.flatten(1))
    return y if layer.bias is None else y + layer.bias


def qkv(op: Any, tokens: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Queries, keys and values of an operator that has them in one linear map ``qkv``."""
    everything = linear(op.qkv, tokens)
    inner = everything.shape[-1] // 3
    return everything[..., :inner], everything[..., inner : 2 * inner], everything[..., 2 * inner :]


def head(t: Tensor, heads: int, index: int) -> Tensor:
    """Channels of one head ``(B, L, d)``."""
    size = t.shape[-1] // heads
    return t[..., index * size : (index + 1) * size]


def attention_map(q: Tensor, k: Tensor) -> Tensor:
    """``(B, L, M)``: softmax of scaled products, one query after another."""
    rows = []
    for i in range(q.shape[1]):
        scores = (q[:, i, None] * k).sum(-1) / q.shape[-1] ** 0.5
        weights = (scores - scores.amax(-1, keepdim=True)).exp()
        rows.append(weights / weights.sum(-1, keepdim=True))
    return torch.stack(rows, 1)


def dense_attention(q: Tensor, k: Tensor, v: Tensor, heads: int) -> Tensor:
    """Softmax attention of ``(B, L, heads*d)``, head by head."""
    parts = []
    for index in range(heads):
        weights = attention_map(head(q, heads, index), head(k, heads, index))
        parts.append(torch.einsum("blm,bmd->bld", weights, head(v, heads, index)))
    return torch.cat(parts, -1)


def depthwise(x: Tensor, weight: Tensor, bias: Tensor | None = None, stride: int = 1) -> Tensor:
    """Depthwise convolution of ``(B, C, H, W)`` with odd kernel and "same" padding, tap by tap."""
    (tall, wide), (height, width) = weight.shape[2:], x.shape[2:]
    padded = x.new_zeros(*x.shape[:2], height + tall - 1, width + wide - 1)
    padded[:, :, tall // 2 : tall // 2 + height, wide // 2 : wide // 2 + width] = x
    taps = [
        padded[:, :, i : i + height : stride, j : j + width : stride] * weight[:, 0, i, j, None, None]
        for i in range(tall)
        for j in range(wide)
    ]
    total = torch.stack(taps).sum(0)
    return total if bias is None else total + bias[:, None, None]


def layer_norm(norm: Any, tokens: Tensor) -> Tensor:
    """LayerNorm over the last axis with the weights and epsilon of ``norm``."""
    centred = tokens - tokens.mean(-1, keepdim=True)
    return centred / (centred.pow(2).mean(-1, keepdim=True) + norm.eps).sqrt() * norm.weight + norm.bias


def cells(length: int, parts: int) -> list[slice]:
    """The entries of each of ``parts`` neighbouring segments; uneven ones share an entry."""
    return [slice(i * length // parts, -(-(i + 1) * length // parts)) for i in range(parts)]


def grid_means(x: Tensor, side: int) -> Tensor:
    """Means of a grid of at most ``side`` x ``side`` regions of ``(B, C, H, W)`` as tokens ``(B, M, C)``."""
    rows, columns = cells(x.shape[2], min(side, x.shape[2])), cells(x.shape[3], min(side, x.shape[3]))
    return torch.stack([x[:, :, r, c].mean((2, 3)) for r in rows for c in columns], 1)


def mhsa_like(op: Any, x: Tensor) -> Tensor:
    """``x`` through the registered plain attention (without its positional branch) with the projections of ``op``."""
    names = ("query", "key", "value")
    split = hasattr(op, "query")
    weight = torch.cat([getattr(op, name).weight for name in names]) if split else op.qkv.weight
    bias = torch.cat([getattr(op, name).bias for name in names]) if split else op.qkv.bias
    heads: int = op.heads
    plain: Any = get_operator("mhsa")(dim=x.shape[1], heads=heads, head_dim=weight.shape[0] // 3 // heads).to(x.dtype)
    state = {"qkv.weight": weight, "qkv.bias": bias, "out.weight": op.out.weight, "out.bias": op.out.bias}
    state |= {f"position.{name}": torch.zeros_like(t) for name, t in plain.position.named_parameters()}
    plain.load_state_dict(state)
    return plain(x)


def example(seed: int, *shape: int) -> Tensor:
    """A seeded float64 input."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def made(name: str, **sizes: int) -> Any:
    """Operator ``name`` in float64 with seeded random weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return get_operator(name)(**sizes).double().eval()
