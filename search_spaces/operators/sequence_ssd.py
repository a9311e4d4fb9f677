"""Mamba-2 over sequences: state-space duality with its short causal convolution and gated norm."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from search_spaces.operators.layers import RMSNorm, full_precision
from search_spaces.operators.legal import require
from search_spaces.operators.registry import register
from search_spaces.operators.sequence_layers import CausalConv, SequenceMixer, both_ways, require_causal
from search_spaces.operators.ssd import scan_work, ssd_scan


@register
class SequenceSSD(SequenceMixer):
    """The Mamba-2 mixer (Dao & Gu, arXiv 2405.21060) with one group of state maps: ``h[t] = exp(-rate step) h[t-1] + step
    b[t] x[t]``, ``y[t] = c[t] h[t] + skip x[t]``, where x, b and c pass a short causal convolution; gated norm, projection.

    Args:
        dim: channels in and out.
        heads: number of heads; each has one rate and one step.
        head_dim: channels of a head.
        state: size of the state of each channel.
        kernel: tokens of the convolution, at least 2.
        causal: 1 to see only earlier tokens, 0 for the mean of both directions.
    """

    name, family = "sequence_ssd", "ssm"
    elastic = {"heads": (2, 4, 6), "head_dim": (8, 16), "state": (8, 16), "kernel": (2, 4), "causal": (0, 1)}
    layout = {
        "gate_values.weight": "(2 heads head_dim) dim",
        "maps.weight": "(2 state) dim",
        "step.weight": "heads dim",
        "values_conv.weight": "(heads head_dim) 1 kernel@last",
        "values_conv.bias": "(heads head_dim)",
        "maps_conv.weight": "(2 state) 1 kernel@last",
        "maps_conv.bias": "(2 state)",
        "step_bias": "heads",
        "log_rate": "heads",
        "skip": "heads 1",
        "norm.weight": "(heads head_dim)",
        "out.weight": "dim (heads head_dim)",
    }

    def __init__(self, dim: int, heads: int, head_dim: int, state: int, kernel: int, causal: int) -> None:
        super().__init__()
        inner = heads * head_dim
        self.heads, self.head_dim, self.state, self.looks_back = heads, head_dim, state, causal
        self.gate_values = nn.Linear(dim, 2 * inner, bias=False)
        self.maps = nn.Linear(dim, 2 * state, bias=False)
        self.step = nn.Linear(dim, heads, bias=False)
        self.values_conv = CausalConv(inner, kernel)
        self.maps_conv = CausalConv(2 * state, kernel)
        steps = torch.logspace(-3, -1, heads)  # step sizes from 0.001 to 0.1, as in Mamba
        self.step_bias = nn.Parameter(steps + torch.log(-torch.expm1(-steps)))  # the inverse of softplus
        self.log_rate = nn.Parameter(torch.linspace(1, 16, heads).log())
        self.skip = nn.Parameter(torch.ones(heads, 1))
        self.norm = RMSNorm(inner)
        self.out = nn.Linear(inner, dim, bias=False)

    def scan_inputs(self, values: Tensor, maps: Tensor, step: Tensor) -> tuple[Tensor, ...]:
        """Convolved values ``(..., inner)`` and maps, step before its bias -> x, step, log_decay, b, c in full precision."""
        x = full_precision(F.silu(values)).unflatten(-1, (self.heads, self.head_dim))
        b, c = full_precision(F.silu(maps)).chunk(2, -1)
        size = F.softplus(full_precision(step) + self.step_bias)
        return x, size.unsqueeze(-1), -size * full_precision(self.log_rate).exp(), b, c

    def core(self, values: Tensor, maps: Tensor, step: Tensor) -> Tensor:
        """-> ``(B, L, inner)`` in full precision."""
        x, size, log_decay, b, c = self.scan_inputs(self.values_conv(values), self.maps_conv(maps), step)
        return (ssd_scan(x * size, log_decay, b, c) + self.skip * x).flatten(2)

    def finish(self, y: Tensor, gate: Tensor) -> Tensor:
        """Gated norm and projection."""
        return self.out(self.norm(y * F.silu(full_precision(gate))).to(gate.dtype))

    def forward(self, x: Tensor) -> Tensor:
        gate, values = self.gate_values(x).chunk(2, -1)
        return self.finish(both_ways(self.core, self.looks_back, values, self.maps(x), self.step(x)), gate)

    def initial_state(self, batch: int, context: int) -> tuple[Tensor, ...]:
        """The inputs of both convolutions before the first token, and the state of the scan."""
        require_causal(self, self.looks_back)
        memory = full_precision(self.skip).new_zeros(batch, self.heads, self.state, self.head_dim)
        return self.values_conv.initial_state(batch), self.maps_conv.initial_state(batch), memory

    def decode(self, x: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        gate, values = self.gate_values(x).chunk(2, -1)
        values, past_values = self.values_conv.decode(values, state[0])
        maps, past_maps = self.maps_conv.decode(self.maps(x), state[1])
        v, size, log_decay, b, c = self.scan_inputs(values, maps, self.step(x))
        memory = log_decay.exp()[..., None, None] * state[2] + b[:, None, :, None] * (v * size).unsqueeze(2)
        y = (c[:, None, :, None] * memory).sum(2) + self.skip * v
        return self.finish(y.flatten(1), gate), past_values, past_maps, memory

    @classmethod
    def state_size(cls, context: int, **sizes: int) -> int:
        inner, state = sizes["heads"] * sizes["head_dim"], sizes["state"]
        return (sizes["kernel"] - 1) * (inner + 2 * state) + inner * state

    @classmethod
    def check(cls, shape: tuple[int, ...], **sizes: int) -> None:
        super().check(shape, **sizes)
        require(sizes["kernel"] >= 2, cls, "kernel", sizes["kernel"], "at least 2")

    @classmethod
    def work(cls, *extent: int, **sizes: int) -> tuple[int, int]:
        tokens, dim, heads, state = extent[0], sizes["dim"], sizes["heads"], sizes["state"]
        inner, times = heads * sizes["head_dim"], 2 - sizes["causal"]
        macs, writes = scan_work(tokens, heads, sizes["head_dim"], state)
        macs = tokens * dim * (3 * inner + 2 * state + heads) + times * (
            macs + tokens * sizes["kernel"] * (inner + 2 * state)
        )
        return macs, tokens * (2 * inner + 2 * state + heads + dim) + times * (writes + tokens * (inner + 2 * state))
