"""The real-gated linear recurrent unit of Griffin: one decaying number a channel, both gates chosen by the token."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from search_spaces.operators.layers import full_precision
from search_spaces.operators.legal import require
from search_spaces.operators.registry import register
from search_spaces.operators.sequence_layers import CausalConv, SequenceMixer, both_ways, require_causal

LENGTH = 16  # of a chunk of `diagonal_scan`, whose pairs of tokens are compared channel by channel


def diagonal_scan(x: Tensor, log_decay: Tensor) -> Tensor:
    """``h[t] = exp(log_decay[t]) h[t-1] + x[t]`` by chunks, all ``(B, L, D)``; every exponent is at most 0."""
    tokens, length = x.shape[1], min(x.shape[1], LENGTH)
    chunks = math.ceil(tokens / length)
    pad = (0, 0, 0, chunks * length - tokens)
    x, log_decay = (F.pad(t, pad).unflatten(1, (chunks, length)) for t in (x, log_decay))
    lower = torch.ones(length, length, dtype=x.dtype, device=x.device).tril()
    total = lower @ log_decay  # running sums in each chunk
    span = (total.unsqueeze(3) - total.unsqueeze(2)).clamp(max=0.0).exp() * lower.unsqueeze(-1)
    h = (span * x.unsqueeze(2)).sum(3)
    if chunks > 1:
        strict = torch.ones(chunks, chunks, dtype=x.dtype, device=x.device).tril(-1)
        ends = total[:, :, -1]
        before = strict @ ends
        between = (before.unsqueeze(2) - (before + ends).unsqueeze(1)).clamp(max=0.0).exp() * strict.unsqueeze(-1)
        carried = (between * h[:, :, -1].unsqueeze(1)).sum(2)
        h = h + total.exp() * carried.unsqueeze(2)
    return h.flatten(1, 2)[:, :tokens]


@register
class SequenceRGLRU(SequenceMixer):
    """The recurrent block of Griffin (De et al., arXiv 2402.19427; RecurrentGemma): a short causal convolution, then
    ``h[t] = a h[t-1] + sqrt(1 - a^2) i x[t]`` with ``a = exp(-8 r rate)``, beside a GELU branch that gates it. The gates i and
    r are maps within each head.

    Args:
        dim: channels in and out.
        heads: blocks of the gates' maps.
        head_dim: channels of a head.
        kernel: tokens of the convolution, at least 2.
        causal: 1 to see only earlier tokens, 0 for the mean of both directions.
    """

    name, family = "sequence_rglru", "ssm"
    elastic = {"heads": (2, 4, 6), "head_dim": (8, 16), "kernel": (2, 4), "causal": (0, 1)}
    layout = {
        "branches.weight": "(2 heads head_dim) dim",
        "conv.weight": "(heads head_dim) 1 kernel@last",
        "conv.bias": "(heads head_dim)",
        "input_gate": "heads head_dim head_dim",
        "input_bias": "(heads head_dim)",
        "decay_gate": "heads head_dim head_dim",
        "decay_bias": "(heads head_dim)",
        "rate": "(heads head_dim)",
        "out.weight": "dim (heads head_dim)",
    }

    def __init__(self, dim: int, heads: int, head_dim: int, kernel: int, causal: int) -> None:
        super().__init__()
        inner = heads * head_dim
        self.heads, self.head_dim, self.looks_back = heads, head_dim, causal
        self.branches = nn.Linear(dim, 2 * inner, bias=False)
        self.conv = CausalConv(inner, kernel)
        self.input_gate = nn.Parameter(torch.randn(heads, head_dim, head_dim) * head_dim**-0.5)
        self.input_bias = nn.Parameter(torch.zeros(inner))
        self.decay_gate = nn.Parameter(torch.randn(heads, head_dim, head_dim) * head_dim**-0.5)
        self.decay_bias = nn.Parameter(torch.zeros(inner))
        slowest = -torch.linspace(0.9, 0.999, inner)[torch.arange(inner) * 7 % inner].log() / 8
        self.rate = nn.Parameter(slowest + torch.log(-torch.expm1(-slowest)))  # the inverse of softplus
        self.out = nn.Linear(inner, dim, bias=False)

    def scan_inputs(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Convolved ``(B, L, inner)`` -> what is added to the state, and log_decay, in full precision."""
        heads = x.unflatten(-1, (self.heads, self.head_dim)).transpose(1, 2)
        keep = full_precision((heads @ self.input_gate).transpose(1, 2).flatten(2) + self.input_bias).sigmoid()
        gate = full_precision((heads @ self.decay_gate).transpose(1, 2).flatten(2) + self.decay_bias).sigmoid()
        log_decay = -8 * gate * F.softplus(full_precision(self.rate))
        return full_precision(x) * keep * (1 - (2 * log_decay).exp()).clamp(min=1e-9).sqrt(), log_decay

    def core(self, x: Tensor) -> Tensor:
        """``(B, L, inner)`` -> the same in full precision."""
        return diagonal_scan(*self.scan_inputs(self.conv(x)))

    def forward(self, x: Tensor) -> Tensor:
        values, beside = self.branches(x).chunk(2, -1)
        return self.out(both_ways(self.core, self.looks_back, values).to(x.dtype) * F.gelu(beside))

    def initial_state(self, batch: int, context: int) -> tuple[Tensor, ...]:
        """The inputs of the convolution before the first token, and the state."""
        require_causal(self, self.looks_back)
        return self.conv.initial_state(batch), full_precision(self.rate).new_zeros(batch, self.heads * self.head_dim)

    def decode(self, x: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        values, beside = self.branches(x).chunk(2, -1)
        values, past = self.conv.decode(values, state[0])
        added, log_decay = (t.squeeze(1) for t in self.scan_inputs(values.unsqueeze(1)))
        h = log_decay.exp() * state[1] + added
        return self.out(h.to(x.dtype) * F.gelu(beside)), past, h

    @classmethod
    def state_size(cls, context: int, **sizes: int) -> int:
        return sizes["heads"] * sizes["head_dim"] * sizes["kernel"]

    @classmethod
    def check(cls, shape: tuple[int, ...], **sizes: int) -> None:
        super().check(shape, **sizes)
        require(sizes["kernel"] >= 2, cls, "kernel", sizes["kernel"], "at least 2")

    @classmethod
    def work(cls, *extent: int, **sizes: int) -> tuple[int, int]:
        tokens, dim, inner, times = extent[0], sizes["dim"], sizes["heads"] * sizes["head_dim"], 2 - sizes["causal"]
        length = min(tokens, LENGTH)
        chunks = math.ceil(tokens / length)
        macs = inner * (tokens * (sizes["kernel"] + 2 * sizes["head_dim"]) + chunks * length * length)
        writes = inner * (3 * tokens + chunks * length)
        if chunks > 1:
            macs, writes = macs + chunks * chunks * inner, writes + chunks * inner
        return 3 * tokens * dim * inner + times * macs, tokens * (2 * inner + dim) + times * writes
