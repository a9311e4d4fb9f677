"""Linear attention whose state decays: by a constant of each head (retention), or by a gate on each channel."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from search_spaces.operators.layers import RMSNorm, full_precision
from search_spaces.operators.legal import require
from search_spaces.operators.registry import register
from search_spaces.operators.sequence_layers import (
    SequenceMixer,
    both_ways,
    positions,
    require_causal,
    rotary_angles,
    rotate,
)
from search_spaces.operators.sequence_linear import by_chunks
from search_spaces.operators.ssd import scan_work, ssd_scan

LENGTH = 16  # of a chunk of `gated_scan`, whose pairs of tokens are compared channel by channel


def retention_scan(q: Tensor, k: Tensor, v: Tensor, log_decay: Tensor) -> Tensor:
    """``S[t] = exp(log_decay[t]) S[t-1] + k[t]^T v[t]``, ``y[t] = q[t] S[t]``: `ssd_scan` with maps of each head's own.
    q, k, v are ``(B, L, heads, .)``, log_decay ``(B, L, heads, 1)``."""
    batch = q.shape[0]
    q, k, v, log_decay = (t.transpose(1, 2).flatten(0, 1) for t in (q, k, v, log_decay))
    y = ssd_scan(v.unsqueeze(2), log_decay, k, q).squeeze(2)
    return y.unflatten(0, (batch, -1)).transpose(1, 2)


def gated_scan(q: Tensor, k: Tensor, v: Tensor, log_decay: Tensor) -> Tensor:
    """``S[t] = diag(exp(log_decay[t])) S[t-1] + k[t]^T v[t]``, ``y[t] = q[t] S[t]`` by chunks; all ``(B, L, heads, .)``.

    Every exponent is a sum of ``log_decay <= 0``, so nothing overflows however strong the decay.
    """
    tokens, length = q.shape[1], min(q.shape[1], LENGTH)
    chunks = math.ceil(tokens / length)
    q, k, v, log_decay = (by_chunks(t, chunks, length) for t in (q, k, v, log_decay))
    lower = torch.ones(length, length, dtype=q.dtype, device=q.device).tril()
    total = lower @ log_decay  # (B, heads, chunks, length, key_dim)
    flat_q, flat_k, flat = (t.flatten(0, 2) for t in (q, k, total))
    between = (flat.unsqueeze(2) - flat.unsqueeze(1)).clamp(max=0.0).exp()
    scores = (flat_q.unsqueeze(2) * flat_k.unsqueeze(1) * between).sum(-1) * lower
    y = scores.unflatten(0, q.shape[:3]) @ v
    if chunks > 1:
        end = total[:, :, :, -1:]
        added = (k * (end - total).exp()).transpose(-2, -1) @ v  # (B, heads, chunks, key_dim, head_dim)
        strict = torch.ones(chunks, chunks, dtype=q.dtype, device=q.device).tril(-1)
        ends = end.squeeze(3).transpose(2, 3)  # (B, heads, key_dim, chunks)
        before = ends @ strict.t()
        span = (before.unsqueeze(-1) - (before + ends).unsqueeze(-2)).clamp(max=0.0).exp() * strict
        carried = (span @ added.transpose(2, 3)).transpose(2, 3)
        y = y + (q * total.exp()) @ carried
    return y.permute(0, 2, 3, 1, 4).flatten(1, 2)[:, :tokens]


class _Decaying(SequenceMixer):
    """Queries, keys, values and a swish gate around a state that decays; an RMS norm on every head."""

    family = "linear attention"
    elastic = {"heads": (2, 4, 6), "key_dim": (8, 16), "head_dim": (8, 16), "causal": (0, 1)}
    layout = {
        "query_key.weight": "(2 heads 2 half) dim",
        "value_gate.weight": "(2 heads head_dim) dim",
        "norm.weight": "head_dim",
        "out.weight": "dim (heads head_dim)",
    }
    rotary = False

    def __init__(self, dim: int, heads: int, key_dim: int, head_dim: int, causal: int) -> None:
        super().__init__()
        self.heads, self.key_dim, self.head_dim, self.looks_back = heads, key_dim, head_dim, causal
        self.query_key = nn.Linear(dim, 2 * heads * key_dim, bias=False)
        self.value_gate = nn.Linear(dim, 2 * heads * head_dim, bias=False)
        self.norm = RMSNorm(head_dim)
        self.out = nn.Linear(heads * head_dim, dim, bias=False)

    def log_decay(self, x: Tensor) -> Tensor:
        """``(B, L, dim)`` -> ``(B, L, heads, 1 or key_dim)``, at most 0, in full precision."""
        raise NotImplementedError

    def core(self, q: Tensor, k: Tensor, v: Tensor, log_decay: Tensor) -> Tensor:
        """All ``(B, L, heads, .)`` -> ``(B, L, heads, head_dim)``."""
        raise NotImplementedError

    def project(self, x: Tensor, position: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """``x`` at ``position`` ``(1 or B, L)`` -> q, k, v, log_decay, all ``(B, L, heads, .)``, and the gate."""
        q, k = (full_precision(t).unflatten(-1, (self.heads, self.key_dim)) for t in self.query_key(x).chunk(2, -1))
        if self.rotary:
            angles = rotary_angles(position, self.key_dim // 2).unsqueeze(2)
            q, k = rotate(q, angles), rotate(k, angles)
        v, gate = self.value_gate(x).chunk(2, -1)
        v = full_precision(v).unflatten(-1, (self.heads, self.head_dim))
        return q * self.key_dim**-0.5, k, v, self.log_decay(x), gate

    def finish(self, y: Tensor, gate: Tensor) -> Tensor:
        """Heads' outputs and the gate before its swish -> output."""
        return self.out(self.norm(y).flatten(2).to(gate.dtype) * F.silu(gate))

    def forward(self, x: Tensor) -> Tensor:
        q, k, v, log_decay, gate = self.project(x, positions(x, x.shape[1]).unsqueeze(0))
        return self.finish(both_ways(self.core, self.looks_back, q, k, v, log_decay), gate)

    def initial_state(self, batch: int, context: int) -> tuple[Tensor, ...]:
        """The memory, and the number of tokens so far where positions are rotary."""
        require_causal(self, self.looks_back)
        weight = full_precision(self.out.weight)
        memory = weight.new_zeros(batch, self.heads, self.key_dim, self.head_dim)
        return (memory, weight.new_zeros(batch, 1)) if self.rotary else (memory,)

    def decode(self, x: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        count = state[1:]
        q, k, v, log_decay, gate = self.project(x.unsqueeze(1), count[0] if count else x[:, :1])
        q, k, v, decay = (t.squeeze(1) for t in (q, k, v, log_decay.exp()))
        memory = decay.unsqueeze(-1) * state[0] + k.unsqueeze(-1) * v.unsqueeze(-2)
        y = (q.unsqueeze(-1) * memory).sum(-2).unsqueeze(1)
        return self.finish(y, gate).squeeze(1), memory, *(t + 1 for t in count)

    @classmethod
    def state_size(cls, context: int, **sizes: int) -> int:
        return sizes["heads"] * sizes["key_dim"] * sizes["head_dim"] + cls.rotary

    @classmethod
    def axes(cls, **sizes: int) -> dict[str, int]:
        return {**sizes, "half": sizes["key_dim"] // 2}

    @classmethod
    def check(cls, shape: tuple[int, ...], **sizes: int) -> None:
        super().check(shape, **sizes)
        require(sizes["key_dim"] % 2 == 0, cls, "key_dim", sizes["key_dim"], "even numbers")

    @classmethod
    def _shell(cls, tokens: int, **sizes: int) -> tuple[int, int]:
        dim, keys, inner = sizes["dim"], sizes["heads"] * sizes["key_dim"], sizes["heads"] * sizes["head_dim"]
        return tokens * dim * (2 * keys + 3 * inner), tokens * (2 * keys + 2 * inner + dim)


@register
class Retention(_Decaying):
    """Retention (Sun et al., RetNet, arXiv 2307.08621): rotary positions, and a state that decays by ``1 - 2^(-5 - h)``
    in head h, whatever the number of heads.

    Args:
        dim: channels in and out.
        heads: number of heads.
        key_dim: channels of a head's queries and keys, even.
        head_dim: channels of a head's values.
        causal: 1 to see only earlier tokens, 0 for the mean of both directions.
    """

    name, rotary = "sequence_retention", True

    def log_decay(self, x: Tensor) -> Tensor:
        rates = [math.log1p(-(2.0 ** (-5 - head))) for head in range(self.heads)]
        rate = torch.tensor(rates, device=x.device, dtype=full_precision(x[:0]).dtype)
        return rate.view(1, 1, -1, 1).repeat(x.shape[0], x.shape[1], 1, 1)

    def core(self, q: Tensor, k: Tensor, v: Tensor, log_decay: Tensor) -> Tensor:
        return retention_scan(q, k, v, log_decay)

    @classmethod
    def work(cls, *extent: int, **sizes: int) -> tuple[int, int]:
        macs, writes = scan_work(extent[0], 1, sizes["head_dim"], sizes["key_dim"])
        times, shell = sizes["heads"] * (2 - sizes["causal"]), cls._shell(extent[0], **sizes)
        return shell[0] + times * macs, shell[1] + times * writes


@register
class GatedLinearAttention(_Decaying):
    """Gated linear attention (Yang et al., arXiv 2312.06635): every channel of the keys forgets at a rate of its own, which
    the token decides through a map of rank 16: ``sigmoid(.)^(1/16)``.

    Args:
        dim: channels in and out.
        heads: number of heads.
        key_dim: channels of a head's queries and keys, even.
        head_dim: channels of a head's values.
        causal: 1 to see only earlier tokens, 0 for the mean of both directions.
    """

    name, rank = "sequence_gla", 16
    layout = {
        **_Decaying.layout,
        "decay_in.weight": "16 dim",
        "decay.weight": "(heads 2 half) 16",
        "decay.bias": "(heads 2 half)",
    }

    def __init__(self, dim: int, heads: int, key_dim: int, head_dim: int, causal: int) -> None:
        super().__init__(dim, heads, key_dim, head_dim, causal)
        self.decay_in = nn.Linear(dim, self.rank, bias=False)
        self.decay = nn.Linear(self.rank, heads * key_dim)

    def log_decay(self, x: Tensor) -> Tensor:
        gate = full_precision(self.decay(self.decay_in(x)))
        return (-F.softplus(-gate) / 16).unflatten(-1, (self.heads, self.key_dim))

    def core(self, q: Tensor, k: Tensor, v: Tensor, log_decay: Tensor) -> Tensor:
        return gated_scan(q, k, v, log_decay)

    @classmethod
    def work(cls, *extent: int, **sizes: int) -> tuple[int, int]:
        tokens, times = extent[0], 2 - sizes["causal"]
        keys, inner = sizes["heads"] * sizes["key_dim"], sizes["heads"] * sizes["head_dim"]
        length = min(tokens, LENGTH)
        chunks = math.ceil(tokens / length)
        padded, memory = chunks * length, sizes["key_dim"] * inner
        macs, writes = padded * length * (keys + inner), padded * (keys + inner)
        if chunks > 1:
            macs += 2 * padded * memory + chunks * chunks * (keys + memory)
            writes += 2 * chunks * memory + chunks * keys + padded * inner
        shell = cls._shell(tokens, **sizes)
        macs, writes = times * macs + shell[0], times * writes + shell[1]
        return macs + tokens * cls.rank * (sizes["dim"] + keys), writes + tokens * (cls.rank + keys)
