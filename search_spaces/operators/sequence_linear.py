"""Linear attention over sequences, without decay."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from search_spaces.operators.layers import full_precision
from search_spaces.operators.registry import register
from search_spaces.operators.sequence_layers import SequenceMixer, require_causal
from search_spaces.operators.ssd import chunk_length


def by_chunks(t: Tensor, chunks: int, length: int) -> Tensor:
    """``(B, L, heads, d)`` -> ``(B, heads, chunks, length, d)``, padded with zeros at the end."""
    t = F.pad(t, (0, 0, 0, 0, 0, chunks * length - t.shape[1]))
    return t.unflatten(1, (chunks, length)).permute(0, 3, 1, 2, 4)


def running_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """``y[t] = q[t] (sum of k[s]^T v[s] over s <= t)`` by chunks of tokens; all ``(B, L, heads, .)``."""
    tokens = q.shape[1]
    length = chunk_length(tokens)
    chunks = math.ceil(tokens / length)
    q, k, v = (by_chunks(t, chunks, length) for t in (q, k, v))
    lower = torch.ones(length, length, dtype=q.dtype, device=q.device).tril()
    y = ((q @ k.transpose(-2, -1)) * lower) @ v
    if chunks > 1:
        added = k.transpose(-2, -1) @ v
        strict = torch.ones(chunks, chunks, dtype=q.dtype, device=q.device).tril(-1)
        y = y + q @ (strict @ added.flatten(3)).unflatten(3, added.shape[3:])
    return y.permute(0, 2, 3, 1, 4).flatten(1, 2)[:, :tokens]


@register
class LinearAttention(SequenceMixer):
    """Linear attention with the feature map ``elu + 1`` (Katharopoulos et al., arXiv 2006.16236): weights ``q[t] k[s]``,
    divided by their sum; a state of fixed size.

    Args:
        dim: channels in and out.
        heads: number of heads.
        head_dim: channels of a head.
        causal: 1 to see only earlier tokens, 0 to see all.
    """

    name, family = "sequence_linear_attention", "linear attention"
    elastic = {"heads": (2, 4, 6), "head_dim": (8, 16), "causal": (0, 1)}
    layout = {"qkv.weight": "(3 heads head_dim) dim", "out.weight": "dim (heads head_dim)"}

    def __init__(self, dim: int, heads: int, head_dim: int, causal: int) -> None:
        super().__init__()
        self.heads, self.head_dim, self.looks_back = heads, head_dim, causal
        self.qkv = nn.Linear(dim, 3 * heads * head_dim, bias=False)
        self.out = nn.Linear(heads * head_dim, dim, bias=False)

    def project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """``(..., dim)`` -> features of q and k, and v with a column of ones, all ``(..., heads, .)`` in full precision."""
        q, k, v = (full_precision(t).unflatten(-1, (self.heads, self.head_dim)) for t in self.qkv(x).chunk(3, -1))
        return F.elu(q) + 1, F.elu(k) + 1, torch.cat([v, torch.ones_like(v[..., :1])], -1)

    def finish(self, sums: Tensor, x: Tensor) -> Tensor:
        """Weighted sums with the sum of the weights as last channel -> output."""
        y, weight = sums[..., :-1], sums[..., -1:]
        return self.out((y / (weight + 1e-6)).flatten(-2).to(x.dtype))

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.project(x)
        if self.looks_back:
            return self.finish(running_attention(q, k, v), x)
        q, k, v = (t.transpose(1, 2) for t in (q, k, v))
        return self.finish((q @ (k.transpose(-2, -1) @ v)).transpose(1, 2), x)

    def initial_state(self, batch: int, context: int) -> tuple[Tensor, ...]:
        require_causal(self, self.looks_back)
        return (full_precision(self.out.weight).new_zeros(batch, self.heads, self.head_dim, self.head_dim + 1),)

    def decode(self, x: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        q, k, v = self.project(x)
        memory = state[0] + k.unsqueeze(-1) * v.unsqueeze(-2)
        return self.finish((q.unsqueeze(-1) * memory).sum(-2), x), memory

    @classmethod
    def state_size(cls, context: int, **sizes: int) -> int:
        return sizes["heads"] * sizes["head_dim"] * (sizes["head_dim"] + 1)

    @classmethod
    def work(cls, *extent: int, **sizes: int) -> tuple[int, int]:
        tokens, heads, head_dim = extent[0], sizes["heads"], sizes["head_dim"]
        inner, wide = heads * head_dim, heads * (head_dim + 1)
        macs, writes = 4 * tokens * sizes["dim"] * inner, tokens * (3 * inner + sizes["dim"])
        if not sizes["causal"]:
            return macs + 2 * tokens * head_dim * wide, writes + head_dim * wide + tokens * wide
        length = chunk_length(tokens)
        chunks = math.ceil(tokens / length)
        padded = chunks * length
        macs += padded * length * (inner + wide)
        writes += padded * (heads * length + wide)
        if chunks > 1:
            macs += 2 * padded * head_dim * wide + chunks * chunks * head_dim * wide
            writes += 2 * chunks * head_dim * wide + padded * wide
        return macs, writes
