"""Mamba over sequences: the selective scan with its short causal convolution and gate."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from search_spaces.operators.layers import full_precision
from search_spaces.operators.legal import require
from search_spaces.operators.mamba import selective_scan
from search_spaces.operators.registry import register
from search_spaces.operators.sequence_layers import CausalConv, SequenceMixer, both_ways, require_causal


@register
class SequenceMamba(SequenceMixer):
    """The Mamba mixer (Gu & Dao, arXiv 2312.00752): every channel has a state of its own whose step, input and output maps
    depend on the token. A shorter state keeps the slow rates, and a shorter kernel the latest tokens.

    Args:
        dim: channels in and out.
        expansion: inner channels over ``dim``.
        state: size of the state of each channel.
        rank: of the map that gives the steps.
        kernel: tokens of the convolution, at least 2.
        causal: 1 to see only earlier tokens, 0 for the mean of both directions.
    """

    name, family = "sequence_mamba", "ssm"
    elastic = {"expansion": (1, 2), "state": (8, 16), "rank": (4, 8), "kernel": (2, 4), "causal": (0, 1)}
    layout = {
        "gate_values.weight": "(2 inner) dim",
        "conv.weight": "inner 1 kernel@last",
        "conv.bias": "inner",
        "narrow.weight": "rank inner",
        "maps.weight": "(2 state) inner",
        "step.weight": "inner rank",
        "step.bias": "inner",
        "log_rate": "inner state",
        "skip": "inner",
        "out.weight": "dim inner",
    }

    def __init__(self, dim: int, expansion: int, state: int, rank: int, kernel: int, causal: int) -> None:
        super().__init__()
        inner = dim * expansion
        self.inner, self.state, self.looks_back = inner, state, causal
        self.gate_values = nn.Linear(dim, 2 * inner, bias=False)
        self.conv = CausalConv(inner, kernel)
        self.narrow = nn.Linear(inner, rank, bias=False)
        self.maps = nn.Linear(inner, 2 * state, bias=False)
        self.step = nn.Linear(rank, inner)
        steps = torch.logspace(-3, -1, inner)[torch.arange(inner) * 7 % inner]  # no order along the channels
        self.step.bias.data = steps + torch.log(-torch.expm1(-steps))  # the inverse of softplus
        self.log_rate = nn.Parameter(torch.arange(1, state + 1).float().log().repeat(inner, 1))
        self.skip = nn.Parameter(torch.ones(inner))
        self.out = nn.Linear(inner, dim, bias=False)

    def scan_inputs(self, values: Tensor) -> tuple[Tensor, ...]:
        """Convolved values ``(..., inner)`` -> u, step, a, b, c in full precision."""
        u = F.silu(values)
        step = F.softplus(full_precision(self.step(self.narrow(u))))
        b, c = full_precision(self.maps(u)).chunk(2, -1)
        return full_precision(u), step, -full_precision(self.log_rate).exp(), b, c

    def core(self, values: Tensor) -> Tensor:
        """``(B, L, inner)`` -> the same in full precision."""
        u, step, a, b, c = self.scan_inputs(self.conv(values))
        return selective_scan(u, step, a, b, c) + self.skip * u

    def finish(self, y: Tensor, gate: Tensor) -> Tensor:
        """Gate and projection."""
        return self.out((y * F.silu(full_precision(gate))).to(gate.dtype))

    def forward(self, x: Tensor) -> Tensor:
        gate, values = self.gate_values(x).chunk(2, -1)
        return self.finish(both_ways(self.core, self.looks_back, values), gate)

    def initial_state(self, batch: int, context: int) -> tuple[Tensor, ...]:
        """The inputs of the convolution before the first token, and the state of the scan."""
        require_causal(self, self.looks_back)
        return self.conv.initial_state(batch), full_precision(self.skip).new_zeros(batch, self.inner, self.state)

    def decode(self, x: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        gate, values = self.gate_values(x).chunk(2, -1)
        values, past = self.conv.decode(values, state[0])
        u, step, a, b, c = self.scan_inputs(values)
        memory = (step.unsqueeze(-1) * a).exp() * state[1] + (step * u).unsqueeze(-1) * b.unsqueeze(1)
        return self.finish((memory * c.unsqueeze(1)).sum(-1) + self.skip * u, gate), past, memory

    @classmethod
    def state_size(cls, context: int, **sizes: int) -> int:
        return sizes["dim"] * sizes["expansion"] * (sizes["kernel"] - 1 + sizes["state"])

    @classmethod
    def axes(cls, **sizes: int) -> dict[str, int]:
        return {**sizes, "inner": sizes["dim"] * sizes["expansion"]}

    @classmethod
    def check(cls, shape: tuple[int, ...], **sizes: int) -> None:
        super().check(shape, **sizes)
        require(sizes["kernel"] >= 2, cls, "kernel", sizes["kernel"], "at least 2")

    @classmethod
    def work(cls, *extent: int, **sizes: int) -> tuple[int, int]:
        tokens, dim, state, rank = extent[0], sizes["dim"], sizes["state"], sizes["rank"]
        inner, times = dim * sizes["expansion"], 2 - sizes["causal"]
        length = math.ceil(math.sqrt(tokens))
        padded = length * math.ceil(tokens / length)
        macs = tokens * inner * (sizes["kernel"] + 2 * rank + 2 * state) + padded * inner * state
        writes = tokens * (2 * inner + rank + 2 * state) + padded * inner
        return 3 * tokens * dim * inner + times * macs, tokens * (2 * inner + dim) + times * writes
