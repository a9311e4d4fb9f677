"""Attention over sequences: head by head with a dense mask, rotary positions as complex numbers."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from search_spaces.operators.sequence_attention import (
    AlibiAttention,
    DifferentialAttention,
    GroupedQueryAttention,
    SlidingWindowAttention,
)
from search_spaces.references.registry import degenerate, reference


def complex_rotation(x: Tensor) -> Tensor:
    """``(B, L, d)``: channels i and i + d/2 as one complex number, turned by ``position * 10000^(-2i/d)``."""
    half = x.shape[-1] // 2
    number = torch.complex(x[..., :half], x[..., half:])
    rates = torch.tensor([10000.0 ** (-i / half) for i in range(half)], dtype=torch.float64)
    turn = torch.outer(torch.arange(x.shape[1], dtype=torch.float64), rates)
    number = number * torch.polar(torch.ones_like(turn), turn)
    return torch.cat([number.real, number.imag], -1)


def softmax_map(op: Any, q: Tensor, k: Tensor, slope: float) -> Tensor:
    """The attention map ``(B, L, L)`` of one head."""
    length = q.shape[1]
    age = torch.arange(length)[:, None] - torch.arange(length)
    hidden = torch.zeros(length, length, dtype=torch.bool)
    if op.looks_back:
        hidden |= age < 0
    if hasattr(op, "window"):
        hidden |= age.abs() >= op.window
    scores = q @ k.mT / math.sqrt(q.shape[-1]) - slope * age.abs()
    return scores.masked_fill(hidden, -math.inf).softmax(-1)


@reference("sequence_gqa", "sequence_window_attention", "sequence_alibi_attention", "sequence_differential_attention")
def dense(op: Any, x: Tensor) -> Tensor:
    streams, kv_heads, group, wide = op.streams, op.kv_heads, op.group, op.streams * op.head_dim
    turn = complex_rotation if op.rotary else (lambda t: t)
    q = (x @ op.query.weight.T).split(op.head_dim, -1)
    k = (x @ op.key.weight.T).split(op.head_dim, -1)
    v = (x @ op.value.weight.T).split(wide, -1)
    outputs = []
    for head in range(kv_heads * group):
        slope = 0.0 if op.rotary else 2.0 ** (-8 * (head + 1) / (kv_heads * group))
        maps = []
        for stream in range(streams):
            query, key = q[stream * kv_heads * group + head], k[stream * kv_heads + head // group]
            maps.append(softmax_map(op, turn(query), turn(key), slope))
        if streams == 1:
            outputs.append(maps[0] @ v[head // group])
            continue
        a, b, c, d = op.balance
        y = (maps[0] - (torch.exp(a @ b) - torch.exp(c @ d) + 0.8) * maps[1]) @ v[head // group]
        y = y / torch.sqrt((y * y).mean(-1, keepdim=True) + op.norm.eps) * op.norm.weight
        outputs.append(0.2 * y)
    return torch.cat(outputs, -1) @ op.out.weight.T


def _copy(target: Any, source: Any) -> None:
    target.load_state_dict(source.state_dict(), strict=False)


@degenerate("sequence_gqa", "one token: its own value")
def one_token() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    op = GroupedQueryAttention(dim=8, kv_heads=2, group=1, head_dim=4, causal=1).double()
    x = torch.randn(2, 1, 8, dtype=torch.float64)
    return op(x), x @ op.value.weight.T @ op.out.weight.T


@degenerate("sequence_gqa", "equal keys: the mean of the values so far")
def equal_keys() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    op = GroupedQueryAttention(dim=8, kv_heads=2, group=2, head_dim=4, causal=1).double()
    op.key.weight.data.zero_()
    x = torch.randn(2, 9, 8, dtype=torch.float64)
    values = (x @ op.value.weight.T).cumsum(1) / torch.arange(1, 10, dtype=torch.float64)[:, None]
    return op(x), values.unflatten(-1, (2, 1, 4)).expand(-1, -1, -1, 2, -1).flatten(2) @ op.out.weight.T


@degenerate("sequence_gqa", "keys and values repeated for each query head: multi-head attention")
def repeated_keys() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    few = GroupedQueryAttention(dim=8, kv_heads=2, group=3, head_dim=4, causal=1).double()
    many = GroupedQueryAttention(dim=8, kv_heads=6, group=1, head_dim=4, causal=1).double()
    many.query, many.out = few.query, few.out
    for name in ("key", "value"):
        rows = getattr(few, name).weight.unflatten(0, (2, 4)).repeat_interleave(3, 0).flatten(0, 1)
        getattr(many, name).weight.data.copy_(rows)
    x = torch.randn(2, 11, 8, dtype=torch.float64)
    return few(x), many(x)


@degenerate("sequence_window_attention", "window = length: full attention")
def whole_window() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    full = GroupedQueryAttention(dim=8, kv_heads=2, group=2, head_dim=4, causal=1).double()
    op = SlidingWindowAttention(dim=8, kv_heads=2, group=2, head_dim=4, window=21, causal=1).double()
    _copy(op, full)
    x = torch.randn(2, 21, 8, dtype=torch.float64)
    return op(x), full(x)


@degenerate("sequence_window_attention", "window 1: every token's own value")
def smallest_window() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    op = SlidingWindowAttention(dim=8, kv_heads=2, group=1, head_dim=4, window=1, causal=0).double()
    x = torch.randn(2, 7, 8, dtype=torch.float64)
    return op(x), x @ op.value.weight.T @ op.out.weight.T


@degenerate("sequence_window_attention", "a long sequence (150 tokens, window 16): dense mask")
def long_window() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    op = SlidingWindowAttention(dim=8, kv_heads=2, group=2, head_dim=4, window=16, causal=1).double()
    x = torch.randn(2, 150, 8, dtype=torch.float64)
    return op(x), dense(op, x)


@degenerate("sequence_alibi_attention", "not causal: mirrored tokens give the mirrored output")
def mirrored() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    op = AlibiAttention(dim=8, kv_heads=2, group=2, head_dim=4, causal=0).double()
    x = torch.randn(2, 13, 8, dtype=torch.float64)
    return op(x.flip(1)), op(x).flip(1)


@degenerate("sequence_alibi_attention", "equal keys: weights are a geometric series of the distance")
def geometric() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    op = AlibiAttention(dim=8, kv_heads=1, group=1, head_dim=4, causal=1).double()
    op.key.weight.data.zero_()
    x = torch.randn(1, 9, 8, dtype=torch.float64)
    values, top, bottom, rows = x[0] @ op.value.weight.T, 0.0, 0.0, []
    for value in values:
        top, bottom = top * math.exp(-(2.0**-8)) + value, bottom * math.exp(-(2.0**-8)) + 1
        rows.append(top / bottom)
    return op(x)[0], torch.stack(rows) @ op.out.weight.T


@degenerate("sequence_differential_attention", "weight of the second map 0: grouped-query attention, normed by head")
def second_map_off() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    op = DifferentialAttention(dim=8, kv_heads=2, group=2, head_dim=4, causal=1).double()
    op.balance.data.zero_()
    op.balance.data[2:] = math.sqrt(math.log(1.8) / 4)  # exp(0) - exp(c d) + 0.8 = 0
    x = torch.randn(2, 9, 8, dtype=torch.float64)
    plain = GroupedQueryAttention(dim=8, kv_heads=2, group=2, head_dim=4, causal=1).double()
    plain.query.weight.data.copy_(op.query.weight[:16])
    plain.key.weight.data.copy_(op.key.weight[:8])
    plain.out.weight = torch.nn.Parameter(torch.eye(16, dtype=torch.float64))
    halves = []
    for part in range(2):  # the values are twice as wide
        plain.value.weight.data.copy_(op.value.weight.unflatten(0, (2, 2, 4))[:, part].flatten(0, 1))
        halves.append(plain(x).unflatten(-1, (4, 4)))
    y = torch.cat(halves, -1)
    y = y / (y.square().mean(-1, keepdim=True) + 1e-5).sqrt() * 0.2
    return op(x), y.flatten(2) @ op.out.weight.T


@degenerate("sequence_differential_attention", "both maps equal: their difference, times one minus the weight")
def equal_maps() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    op = DifferentialAttention(dim=8, kv_heads=2, group=1, head_dim=4, causal=0).double()
    op.query.weight.data[8:], op.key.weight.data[8:] = op.query.weight.data[:8], op.key.weight.data[:8]
    op.balance.data.zero_()  # weight 0.8
    op.norm.eps = 1e12  # makes the norm a division by 1e6
    x = torch.randn(2, 9, 8, dtype=torch.float64)
    plain = SlidingWindowAttention(dim=8, kv_heads=2, group=1, head_dim=4, window=9, causal=0).double()
    plain.query.weight.data.copy_(op.query.weight[:8])
    plain.key.weight.data.copy_(op.key.weight[:8])
    plain.out.weight = torch.nn.Parameter(torch.eye(8, dtype=torch.float64))
    halves = []
    for part in range(2):
        plain.value.weight.data.copy_(op.value.weight.unflatten(0, (2, 2, 4))[:, part].flatten(0, 1))
        halves.append(plain(x).unflatten(-1, (2, 4)))
    return op(x) * 1e6, 0.2 * 0.2 * torch.cat(halves, -1).flatten(2) @ op.out.weight.T
