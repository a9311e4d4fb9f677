"""Softmax attention over sequences, its heads in groups that share keys and values: rotary, ALiBi and differential."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from search_spaces.operators.layers import RMSNorm, full_precision
from search_spaces.operators.legal import require
from search_spaces.operators.registry import register
from search_spaces.operators.sequence_layers import (
    MASKED,
    SequenceMixer,
    positions,
    require_causal,
    rotary_angles,
    rotate,
)


class _GroupedAttention(SequenceMixer):
    """Attention of ``kv_heads * group`` query heads, ``group`` of them on each head of keys and values.

    Rows of queries and keys are grouped as (head, half, pair) where rotary positions turn channel i with channel i + half,
    so a slice keeps pairs together. ``streams`` is the number of attention maps of a head.

    Args:
        dim: channels in and out.
        kv_heads: heads of keys and values.
        group: query heads on each of them.
        head_dim: channels of a head.
        causal: 1 to see only earlier tokens, 0 to see all.
    """

    family = "attention"
    streams, rotary = 1, True
    elastic = {"kv_heads": (1, 2, 4), "group": (1, 2), "head_dim": (8, 16), "causal": (0, 1)}
    layout = {
        "query.weight": "(streams kv_heads group 2 half) dim",
        "key.weight": "(streams kv_heads 2 half) dim",
        "value.weight": "(kv_heads value_dim) dim",
        "out.weight": "dim (kv_heads group value_dim)",
    }

    def __init__(self, dim: int, kv_heads: int, group: int, head_dim: int, causal: int) -> None:
        super().__init__()
        self.kv_heads, self.group, self.head_dim, self.looks_back = kv_heads, group, head_dim, causal
        wide = self.streams * kv_heads * head_dim
        self.query = nn.Linear(dim, wide * group, bias=False)
        self.key = nn.Linear(dim, wide, bias=False)
        self.value = nn.Linear(dim, wide, bias=False)
        self.out = nn.Linear(wide * group, dim, bias=False)

    def project(self, x: Tensor, position: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """``x`` at ``position`` ``(1 or B, L)`` -> q ``(B, heads, group, L, head_dim)``, k and v ``(B, heads, L, .)``."""
        q = self.query(x).unflatten(-1, (-1, self.group, self.head_dim)).permute(0, 2, 3, 1, 4)
        k = self.key(x).unflatten(-1, (-1, self.head_dim)).transpose(1, 2)
        v = self.value(x).unflatten(-1, (self.kv_heads, -1)).transpose(1, 2)
        if self.rotary:
            angles = rotary_angles(position, self.head_dim // 2).unsqueeze(1)
            q, k = rotate(q, angles.unsqueeze(1)), rotate(k, angles)
        return q * self.head_dim**-0.5, k, v

    def bias(self, distance: Tensor) -> Tensor:
        """What is added to the score of a key that stands ``distance`` tokens before its query."""
        return (-distance).clamp(0, 1) * (MASKED if self.looks_back else 0.0)

    def combine(self, maps: Tensor) -> Tensor:
        """The attention maps of the streams ``(B, streams * heads, group, L, K)`` -> one map ``(B, heads, group, L, K)``."""
        return maps

    def finish(self, y: Tensor) -> Tensor:
        """Heads' outputs ``(..., value_dim)`` before they are projected."""
        return y

    def attend(self, q: Tensor, k: Tensor, v: Tensor, bias: Tensor) -> Tensor:
        """-> ``(B, L, heads * group * value_dim)``."""
        scores = (q.flatten(2, 3) @ k.transpose(-2, -1)).unflatten(2, q.shape[2:4])
        maps = self.combine((full_precision(scores) + bias).softmax(-1).to(v.dtype))
        y = (maps.flatten(2, 3) @ v).unflatten(2, q.shape[2:4])
        return self.finish(y).permute(0, 3, 1, 2, 4).flatten(2)

    def forward(self, x: Tensor) -> Tensor:
        place = positions(x, x.shape[1])
        q, k, v = self.project(x, place.unsqueeze(0))
        return self.out(self.attend(q, k, v, self.bias(place.unsqueeze(1) - place)))

    def initial_state(self, batch: int, context: int) -> tuple[Tensor, ...]:
        """Keys and values of the last ``context`` tokens, and the number of tokens so far."""
        require_causal(self, self.looks_back)
        weight = self.key.weight
        keys = weight.new_zeros(batch, self.streams * self.kv_heads, context, self.head_dim)
        values = weight.new_zeros(batch, self.kv_heads, context, self.streams * self.head_dim)
        return keys, values, full_precision(weight.new_zeros(batch, 1))

    def decode(self, x: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        keys, values, count = state
        q, k, v = self.project(x.unsqueeze(1), count)
        keys, values = torch.cat([keys[:, :, 1:], k], 2), torch.cat([values[:, :, 1:], v], 2)
        context = keys.shape[2]
        distance = (context - 1) - positions(x, context)
        empty = (distance - count).clamp(0, 1)  # slots of the cache that no token has reached
        bias = self.bias(distance.unsqueeze(0)) + (empty * MASKED)[:, None, None, None]
        return self.out(self.attend(q, keys, values, bias)).squeeze(1), keys, values, count + 1

    @classmethod
    def state_size(cls, context: int, **sizes: int) -> int:
        return 2 * cls.streams * sizes["kv_heads"] * sizes["head_dim"] * context + 1

    @classmethod
    def axes(cls, **sizes: int) -> dict[str, int]:
        head_dim = sizes["head_dim"]
        return {**sizes, "streams": cls.streams, "half": head_dim // 2, "value_dim": cls.streams * head_dim}

    @classmethod
    def check(cls, shape: tuple[int, ...], **sizes: int) -> None:
        super().check(shape, **sizes)
        require(sizes["head_dim"] % 2 == 0, cls, "head_dim", sizes["head_dim"], "even numbers")

    @classmethod
    def pairs(cls, length: int, **sizes: int) -> tuple[int, int]:
        """Rows of queries, and keys that each of them is compared with."""
        return length, length

    @classmethod
    def work(cls, *extent: int, **sizes: int) -> tuple[int, int]:
        length, dim = extent[0], sizes["dim"]
        heads = cls.streams * sizes["kv_heads"] * sizes["group"]
        queries, wide = heads * sizes["head_dim"], cls.streams * sizes["kv_heads"] * sizes["head_dim"]
        rows, keys = cls.pairs(length, **sizes)
        macs = 2 * length * dim * (queries + wide) + 2 * rows * keys * queries
        return macs, length * (queries + 2 * wide + dim) + rows * (keys * heads + queries)


@register
class GroupedQueryAttention(_GroupedAttention):
    """Grouped-query attention (Ainslie et al., arXiv 2305.13245) with rotary positions, as in Llama; ``group`` 1 is multi-head
    attention, ``kv_heads`` 1 is multi-query attention.

    Args:
        dim: channels in and out.
        kv_heads: heads of keys and values.
        group: query heads on each of them.
        head_dim: channels of a head, even.
        causal: 1 to see only earlier tokens, 0 to see all.
    """

    name = "sequence_gqa"


@register
class AlibiAttention(_GroupedAttention):
    """Grouped-query attention whose scores fall with distance, at a slope of ``2^(-8 (h + 1) / heads)`` for head h (ALiBi:
    Press et al., arXiv 2108.12409), instead of rotary positions.

    Args:
        dim: channels in and out.
        kv_heads: heads of keys and values.
        group: query heads on each of them.
        head_dim: channels of a head, even.
        causal: 1 to see only earlier tokens, 0 to see all.
    """

    name, rotary = "sequence_alibi_attention", False

    def bias(self, distance: Tensor) -> Tensor:
        heads = self.kv_heads * self.group
        index = torch.arange(1, heads + 1, device=distance.device, dtype=distance.dtype)
        slopes = (index * (-8 * math.log(2) / heads)).exp().view(self.kv_heads, self.group, 1, 1)
        return super().bias(distance) - slopes * distance.abs()


@register
class SlidingWindowAttention(_GroupedAttention):
    """Grouped-query attention with rotary positions over the last ``window`` tokens, as in Mistral (arXiv 2310.06825); not
    causal, over those fewer than ``window`` tokens away. Computed by blocks of ``window`` queries and the blocks of keys
    around them, so its cost is linear in the length; the cache holds ``window`` tokens.

    Args:
        dim: channels in and out.
        kv_heads: heads of keys and values.
        group: query heads on each of them.
        head_dim: channels of a head, even.
        window: tokens that a token sees, itself among them.
        causal: 1 to see only earlier tokens, 0 to see both sides.
    """

    name = "sequence_window_attention"
    elastic = {**_GroupedAttention.elastic, "window": (16, 32, 64)}

    def __init__(self, dim: int, kv_heads: int, group: int, head_dim: int, window: int, causal: int) -> None:
        super().__init__(dim, kv_heads, group, head_dim, causal)
        self.window = window

    def bias(self, distance: Tensor) -> Tensor:
        return super().bias(distance) + (distance.abs() - (self.window - 1)).clamp(0, 1) * MASKED

    def forward(self, x: Tensor) -> Tensor:
        batch, length, window = x.shape[0], x.shape[1], self.window
        if length <= window:
            return super().forward(x)
        blocks, around = math.ceil(length / window), 2 if self.looks_back else 3
        q, k, v = self.project(x, positions(x, length).unsqueeze(0))
        heads, pad = q.shape[1:3], blocks * window - length
        q = F.pad(q.flatten(1, 2), (0, 0, 0, pad)).unflatten(2, (blocks, window))
        q = q.transpose(1, 2).flatten(0, 1).unflatten(1, heads)  # (B * blocks, kv_heads, group, window, head_dim)
        k, v = (self._neighbours(t, blocks, around, pad) for t in (k, v))
        place, key_place = positions(x, window), positions(x, around * window) - window
        absolute = positions(x, blocks)[:, None, None] * window + key_place
        outside = (-absolute).clamp(0, 1) + (absolute - (length - 1)).clamp(0, 1)
        bias = (self.bias(place.unsqueeze(1) - key_place) + outside * MASKED)[:, None, None]
        y = self.attend(q, k, v, bias.repeat(batch, 1, 1, 1, 1))
        return self.out(y.unflatten(0, (batch, blocks)).flatten(1, 2)[:, :length])

    def _neighbours(self, t: Tensor, blocks: int, around: int, pad: int) -> Tensor:
        """``(B, heads, L, .)`` -> for every block the tokens of the ``around`` blocks from the one before it on."""
        window = self.window
        t = F.pad(t, (0, 0, window, pad + (around - 2) * window))
        parts = [t[:, :, i * window : (i + blocks) * window].unflatten(2, (blocks, window)) for i in range(around)]
        return torch.cat(parts, 3).transpose(1, 2).flatten(0, 1)

    def initial_state(self, batch: int, context: int) -> tuple[Tensor, ...]:
        """Keys and values of the last ``window`` tokens at most, and the number of tokens so far."""
        return super().initial_state(batch, min(context, self.window))

    @classmethod
    def state_size(cls, context: int, **sizes: int) -> int:
        return super().state_size(min(context, sizes["window"]), **sizes)

    @classmethod
    def pairs(cls, length: int, **sizes: int) -> tuple[int, int]:
        window = sizes["window"]
        if length <= window:
            return length, length
        return math.ceil(length / window) * window, (2 if sizes["causal"] else 3) * window


@register
class DifferentialAttention(_GroupedAttention):
    """Differential attention (Ye et al., arXiv 2410.05258) with rotary positions: the difference of two softmax maps,
    ``(softmax(q1 k1) - l softmax(q2 k2)) v`` with ``l = exp(a b) - exp(c d) + 0.8`` learned, then an RMS norm of each head.
    A head has twice ``head_dim`` channels of values. 0.8 is the paper's start of ``l`` for deep layers.

    Args:
        dim: channels in and out.
        kv_heads: heads of keys (of which each has two) and values.
        group: query heads on each of them.
        head_dim: channels of queries and keys, even.
        causal: 1 to see only earlier tokens, 0 to see all.
    """

    name, streams = "sequence_differential_attention", 2
    start = 0.8
    layout = {**_GroupedAttention.layout, "balance": "4 head_dim", "norm.weight": "value_dim"}

    def __init__(self, dim: int, kv_heads: int, group: int, head_dim: int, causal: int) -> None:
        super().__init__(dim, kv_heads, group, head_dim, causal)
        self.balance = nn.Parameter(0.1 * torch.randn(4, head_dim))
        self.norm = RMSNorm(2 * head_dim)

    def combine(self, maps: Tensor) -> Tensor:
        first, second = maps.chunk(2, 1)
        a, b, c, d = full_precision(self.balance).chunk(4)
        weight = (a * b).sum().exp() - (c * d).sum().exp() + self.start
        return first - weight.to(maps.dtype) * second

    def finish(self, y: Tensor) -> Tensor:
        return self.norm(y) * (1 - self.start)
