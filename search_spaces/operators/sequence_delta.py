"""Gated delta networks over sequences: a memory that is decayed and corrected towards each value."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from search_spaces.operators.gated_delta import delta_work, gated_delta_scan
from search_spaces.operators.layers import RMSNorm, full_precision
from search_spaces.operators.legal import require
from search_spaces.operators.registry import register
from search_spaces.operators.sequence_layers import CausalConv, SequenceMixer, both_ways, require_causal


def unit(x: Tensor) -> Tensor:
    """``x`` divided by its length along the last axis."""
    return x * torch.rsqrt(x.square().sum(-1, keepdim=True) + 1e-6)


@register
class SequenceGatedDelta(SequenceMixer):
    """Gated DeltaNet (Yang et al., arXiv 2412.06464): ``S[t] = decay S[t-1] + beta k[t] (v[t] - k[t] decay S[t-1])``, with
    short causal convolutions on q, k and v, q and k of length 1, and a gated norm of every head, as in Qwen3-Next.

    Args:
        dim: channels in and out.
        heads: number of heads; each has one decay and one strength of correction.
        key_dim: channels of a head's queries and keys.
        head_dim: channels of a head's values.
        kernel: tokens of the convolutions, at least 2.
        causal: 1 to see only earlier tokens, 0 for the mean of both directions.
    """

    name, family = "sequence_gated_delta", "linear attention"
    elastic = {"heads": (2, 4), "key_dim": (8, 16), "head_dim": (8, 16), "kernel": (2, 4), "causal": (0, 1)}
    layout = {
        "query_key.weight": "(2 heads key_dim) dim",
        "value_gate.weight": "(2 heads head_dim) dim",
        "strength_step.weight": "(2 heads) dim",
        "keys_conv.weight": "(2 heads key_dim) 1 kernel@last",
        "values_conv.weight": "(heads head_dim) 1 kernel@last",
        "step_bias": "heads",
        "log_rate": "heads",
        "norm.weight": "head_dim",
        "out.weight": "dim (heads head_dim)",
    }

    def __init__(self, dim: int, heads: int, key_dim: int, head_dim: int, kernel: int, causal: int) -> None:
        super().__init__()
        self.heads, self.key_dim, self.head_dim, self.looks_back = heads, key_dim, head_dim, causal
        self.query_key = nn.Linear(dim, 2 * heads * key_dim, bias=False)
        self.value_gate = nn.Linear(dim, 2 * heads * head_dim, bias=False)
        self.strength_step = nn.Linear(dim, 2 * heads, bias=False)
        self.keys_conv = CausalConv(2 * heads * key_dim, kernel, bias=False)
        self.values_conv = CausalConv(heads * head_dim, kernel, bias=False)
        steps = torch.logspace(-3, -1, heads)
        self.step_bias = nn.Parameter(steps + torch.log(-torch.expm1(-steps)))  # the inverse of softplus
        self.log_rate = nn.Parameter(torch.linspace(1, 16, heads).log())
        self.norm = RMSNorm(head_dim)
        self.out = nn.Linear(heads * head_dim, dim, bias=False)

    def scan_inputs(self, keys: Tensor, values: Tensor, strength_step: Tensor) -> tuple[Tensor, ...]:
        """Convolved rows ``(..., .)`` -> q, k, v ``(..., heads, .)``, beta, log_decay ``(..., heads)`` in full precision."""
        q, k = (t.unflatten(-1, (self.heads, -1)) for t in full_precision(F.silu(keys)).chunk(2, -1))
        v = full_precision(F.silu(values)).unflatten(-1, (self.heads, -1))
        strength, step = full_precision(strength_step).chunk(2, -1)
        log_decay = -full_precision(self.log_rate).exp() * F.softplus(step + self.step_bias)
        return unit(q) * self.key_dim**-0.5, unit(k), v, strength.sigmoid(), log_decay

    def core(self, keys: Tensor, values: Tensor, strength_step: Tensor) -> Tensor:
        """-> ``(B, L, heads, head_dim)`` in full precision."""
        return gated_delta_scan(*self.scan_inputs(self.keys_conv(keys), self.values_conv(values), strength_step))

    def finish(self, y: Tensor, gate: Tensor) -> Tensor:
        """Gated norm and projection."""
        return self.out((self.norm(y).flatten(-2) * F.silu(full_precision(gate))).to(gate.dtype))

    def forward(self, x: Tensor) -> Tensor:
        values, gate = self.value_gate(x).chunk(2, -1)
        y = both_ways(self.core, self.looks_back, self.query_key(x), values, self.strength_step(x))
        return self.finish(y, gate)

    def initial_state(self, batch: int, context: int) -> tuple[Tensor, ...]:
        """The inputs of both convolutions before the first token, and the memory."""
        require_causal(self, self.looks_back)
        memory = full_precision(self.step_bias).new_zeros(batch, self.heads, self.key_dim, self.head_dim)
        return self.keys_conv.initial_state(batch), self.values_conv.initial_state(batch), memory

    def decode(self, x: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        values, gate = self.value_gate(x).chunk(2, -1)
        keys, past_keys = self.keys_conv.decode(self.query_key(x), state[0])
        values, past_values = self.values_conv.decode(values, state[1])
        q, k, v, beta, log_decay = self.scan_inputs(keys, values, self.strength_step(x))
        memory = log_decay.exp()[..., None, None] * state[2]
        wrong = v - (k.unsqueeze(-1) * memory).sum(-2)
        memory = memory + k.unsqueeze(-1) * (beta.unsqueeze(-1) * wrong).unsqueeze(-2)
        return self.finish((q.unsqueeze(-1) * memory).sum(-2), gate), past_keys, past_values, memory

    @classmethod
    def state_size(cls, context: int, **sizes: int) -> int:
        heads, key_dim, head_dim = sizes["heads"], sizes["key_dim"], sizes["head_dim"]
        return heads * ((sizes["kernel"] - 1) * (2 * key_dim + head_dim) + key_dim * head_dim)

    @classmethod
    def check(cls, shape: tuple[int, ...], **sizes: int) -> None:
        super().check(shape, **sizes)
        require(sizes["kernel"] >= 2, cls, "kernel", sizes["kernel"], "at least 2")

    @classmethod
    def work(cls, *extent: int, **sizes: int) -> tuple[int, int]:
        tokens, dim, heads = extent[0], sizes["dim"], sizes["heads"]
        keys, inner, times = heads * sizes["key_dim"], heads * sizes["head_dim"], 2 - sizes["causal"]
        macs, writes = delta_work(tokens, heads, sizes["key_dim"], sizes["head_dim"])
        macs += tokens * sizes["kernel"] * (2 * keys + inner)
        writes += tokens * (2 * keys + inner)
        rows = 2 * keys + 2 * inner + 2 * heads
        return tokens * dim * (rows + inner) + times * macs, tokens * (rows + dim) + times * writes
