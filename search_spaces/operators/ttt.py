"""Test-time training: a memory that is a linear model, trained on every token it sees."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from search_spaces.operators.layers import RMSNorm, full_precision
from search_spaces.operators.registry import register
from search_spaces.operators.sequence_layers import SequenceMixer, both_ways, require_causal


@register
class SequenceTTT(SequenceMixer):
    """TTT-Linear (Sun et al., arXiv 2407.04620): each head has a linear model ``f(k) = k + norm(k W + b)`` that takes a step
    of gradient descent on ``|f(k) - v|^2 / 2`` for each token, at a rate ``sigmoid(.) / head_dim`` that the token decides, and
    answers ``f(q)``. Gradients of a mini-batch are all taken at its start (the dual form: matrix products only).

    Args:
        dim: channels in and out.
        heads: number of heads.
        head_dim: channels of a head.
        mini_batch: tokens whose gradients are taken at the same weights.
        causal: 1 to see only earlier tokens, 0 for the mean of both directions.
    """

    name, family = "sequence_ttt", "linear attention"
    elastic = {"heads": (2, 4), "head_dim": (8, 16), "mini_batch": (4, 8, 16), "causal": (0, 1)}
    layout = {
        "qkv.weight": "(3 heads head_dim) dim",
        "rate.weight": "heads dim",
        "rate.bias": "heads",
        "weight": "heads head_dim head_dim",
        "bias": "heads head_dim",
        "inner_scale": "heads head_dim",
        "inner_shift": "heads head_dim",
        "norm.weight": "(heads head_dim)",
        "out.weight": "dim (heads head_dim)",
    }

    def __init__(self, dim: int, heads: int, head_dim: int, mini_batch: int, causal: int) -> None:
        super().__init__()
        self.heads, self.head_dim, self.mini_batch, self.looks_back = heads, head_dim, mini_batch, causal
        self.qkv = nn.Linear(dim, 3 * heads * head_dim, bias=False)
        self.rate = nn.Linear(dim, heads)
        self.weight = nn.Parameter(0.02 * torch.randn(heads, head_dim, head_dim))
        self.bias = nn.Parameter(torch.zeros(heads, head_dim))
        self.inner_scale = nn.Parameter(torch.ones(heads, head_dim))
        self.inner_shift = nn.Parameter(torch.zeros(heads, head_dim))
        self.norm = RMSNorm(heads * head_dim)
        self.out = nn.Linear(heads * head_dim, dim, bias=False)

    def project(self, x: Tensor) -> tuple[Tensor, ...]:
        """``(B, L, dim)`` -> q, k, v ``(B, L, heads, head_dim)`` and rates ``(B, L, heads, 1)`` in full precision."""
        q, k, v = (full_precision(t).unflatten(-1, (self.heads, self.head_dim)) for t in self.qkv(x).chunk(3, -1))
        return q, k, v, (full_precision(self.rate(x)).sigmoid() / self.head_dim).unsqueeze(-1)

    def inner_norm(self, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """``z`` ``(B, heads, n, head_dim)`` normalised, scaled and shifted; normalised; and one over its deviation."""
        z = z - z.mean(-1, keepdim=True)
        inverse = torch.rsqrt(z.square().mean(-1, keepdim=True) + 1e-6)
        plain = z * inverse
        return plain * self.inner_scale.unsqueeze(1) + self.inner_shift.unsqueeze(1), plain, inverse

    def gradient(self, k: Tensor, v: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """Gradient of the loss by ``k W + b``, ``(B, heads, n, head_dim)``."""
        scaled, plain, inverse = self.inner_norm(k @ weight + bias)
        g = (scaled - (v - k)) * self.inner_scale.unsqueeze(1)
        return (g - g.mean(-1, keepdim=True) - plain * (g * plain).mean(-1, keepdim=True)) * inverse

    def core(self, q: Tensor, k: Tensor, v: Tensor, rate: Tensor) -> Tensor:
        """-> ``(B, L, heads, head_dim)`` in full precision."""
        tokens, size = q.shape[1], min(self.mini_batch, q.shape[1])
        pad = math.ceil(tokens / size) * size - tokens
        q, k, v, rate = (F.pad(t, (0, 0, 0, 0, 0, pad)).transpose(1, 2) for t in (q, k, v, rate))  # padding: rate 0
        weight, bias = self.model(q.shape[0])
        lower = torch.ones(size, size, dtype=q.dtype, device=q.device).tril()
        answers: list[Tensor] = []
        for at in range(0, tokens, size):
            q_, k_, v_, rate_ = (t[:, :, at : at + size] for t in (q, k, v, rate))
            move = rate_ * self.gradient(k_, v_, weight, bias)
            seen = (q_ @ k_.transpose(-2, -1) + 1) * lower  # + 1: what the bias learned
            answers.append(q_ + self.inner_norm(q_ @ weight + bias - seen @ move)[0])
            if at + size < tokens:
                weight, bias = weight - k_.transpose(-2, -1) @ move, bias - move.sum(2, keepdim=True)
        return torch.cat(answers, 2).transpose(1, 2)[:, :tokens]

    def model(self, batch: int) -> tuple[Tensor, Tensor]:
        """The linear models before the first token, ``(B, heads, head_dim, head_dim)`` and ``(B, heads, 1, head_dim)``."""
        weight, bias = full_precision(self.weight), full_precision(self.bias).unsqueeze(1)
        return weight.repeat(batch, 1, 1, 1), bias.repeat(batch, 1, 1, 1)

    def finish(self, y: Tensor, x: Tensor) -> Tensor:
        """Norm and projection."""
        return self.out(self.norm(y.flatten(2)).to(x.dtype))

    def forward(self, x: Tensor) -> Tensor:
        return self.finish(both_ways(self.core, self.looks_back, *self.project(x)), x)

    def initial_state(self, batch: int, context: int) -> tuple[Tensor, ...]:
        """Weight and bias at the start of the mini-batch, what its tokens moved them by, and the number of tokens so far."""
        require_causal(self, self.looks_back)
        weight, bias = self.model(batch)
        return weight, bias, torch.zeros_like(weight), torch.zeros_like(bias), weight.new_zeros(batch, 1)

    def decode(self, x: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        weight, bias, moved, moved_bias, count = state
        q, k, v, rate = (t.transpose(1, 2) for t in self.project(x.unsqueeze(1)))
        place = count - (count / self.mini_batch).floor() * self.mini_batch
        new = (1 - place).clamp(0, 1).view(-1, 1, 1, 1)  # 1 where a mini-batch begins
        weight, bias = weight - new * moved, bias - new * moved_bias
        move = rate * self.gradient(k, v, weight, bias)
        moved, moved_bias = (1 - new) * moved + k.transpose(-2, -1) @ move, (1 - new) * moved_bias + move
        y = q + self.inner_norm(q @ (weight - moved) + (bias - moved_bias))[0]
        return self.finish(y.transpose(1, 2), x).squeeze(1), weight, bias, moved, moved_bias, count + 1

    @classmethod
    def state_size(cls, context: int, **sizes: int) -> int:
        return 2 * sizes["heads"] * sizes["head_dim"] * (sizes["head_dim"] + 1) + 1

    @classmethod
    def work(cls, *extent: int, **sizes: int) -> tuple[int, int]:
        tokens, dim, heads, head_dim = extent[0], sizes["dim"], sizes["heads"], sizes["head_dim"]
        inner, times, size = heads * head_dim, 2 - sizes["causal"], min(sizes["mini_batch"], tokens)
        padded = math.ceil(tokens / size) * size
        macs = padded * inner * (2 * head_dim + 2 * size) + (padded - size) * inner * head_dim
        writes = padded * (3 * inner + size * heads) + (padded // size - 1) * inner * head_dim
        maps = tokens * (4 * dim * inner + dim * heads), tokens * (3 * inner + heads + dim)
        return maps[0] + times * macs, maps[1] + times * writes
