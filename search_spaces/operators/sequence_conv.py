"""Gated convolutions over sequences: short explicit kernels, and long ones that a small network gives."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from search_spaces.operators.layers import full_precision
from search_spaces.operators.legal import require
from search_spaces.operators.registry import register
from search_spaces.operators.sequence_layers import CausalConv, SequenceMixer, both_ways, positions, require_causal

PERIODS = (4.0, 16.0, 64.0, 256.0)  # tokens a turn of the features from which `Hyena` makes its filters


@register
class SequenceShortConv(SequenceMixer):
    """Double-gated short convolution of LFM2 (arXiv 2511.23404): ``out(c * conv(b * v))``.

    Args:
        dim: channels in and out.
        expansion: inner channels over ``dim``.
        kernel: tokens of the convolution, at least 2; a shorter kernel is the latest part of a longer one.
        causal: 1 to see only earlier tokens, 0 for the mean of both directions.
    """

    name, family = "sequence_short_conv", "conv"
    elastic = {"expansion": (1, 2), "kernel": (2, 3, 5), "causal": (0, 1)}
    layout = {"gates.weight": "(3 inner) dim", "conv.weight": "inner 1 kernel@last", "out.weight": "dim inner"}

    def __init__(self, dim: int, expansion: int, kernel: int, causal: int) -> None:
        super().__init__()
        inner = dim * expansion
        self.looks_back = causal
        self.gates = nn.Linear(dim, 3 * inner, bias=False)
        self.conv = CausalConv(inner, kernel, bias=False)
        self.out = nn.Linear(inner, dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        b, c, v = self.gates(x).chunk(3, -1)
        return self.out(c * both_ways(self.conv, self.looks_back, b * v))

    def initial_state(self, batch: int, context: int) -> tuple[Tensor, ...]:
        require_causal(self, self.looks_back)
        return (self.conv.initial_state(batch),)

    def decode(self, x: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        b, c, v = self.gates(x).chunk(3, -1)
        y, past = self.conv.decode(b * v, state[0])
        return self.out(c * y), past

    @classmethod
    def state_size(cls, context: int, **sizes: int) -> int:
        return sizes["dim"] * sizes["expansion"] * (sizes["kernel"] - 1)

    @classmethod
    def axes(cls, **sizes: int) -> dict[str, int]:
        return {**sizes, "inner": sizes["dim"] * sizes["expansion"]}

    @classmethod
    def check(cls, shape: tuple[int, ...], **sizes: int) -> None:
        super().check(shape, **sizes)
        require(sizes["kernel"] >= 2, cls, "kernel", sizes["kernel"], "at least 2")

    @classmethod
    def work(cls, *extent: int, **sizes: int) -> tuple[int, int]:
        tokens, dim, times = extent[0], sizes["dim"], 2 - sizes["causal"]
        inner = dim * sizes["expansion"]
        return tokens * inner * (4 * dim + times * sizes["kernel"]), tokens * ((3 + times) * inner + dim)


def toeplitz(kernel: Tensor) -> Tensor:
    """``(C, L)`` -> ``(C, L, L)`` with ``[c, s, t] = kernel[c, t - s]`` and 0 for t < s, by reading a repeated row askew."""
    channels, length = kernel.shape
    row = F.pad(kernel, (0, length)).repeat(1, length)
    return row[:, : length * (2 * length - 1)].view(channels, length, 2 * length - 1)[:, :, :length]


@register
class Hyena(SequenceMixer):
    """Hyena (Poli et al., arXiv 2302.10866): ``z = x_n * (h_n convolved with z)`` for n = 1 ... ``order``, from ``z = v``;
    v and the gates x_n pass a short convolution. The filters h_n, as long as the sequence, are a sine network of the
    distance times a learned exponential decay, so they extend to any length; convolved by products with Toeplitz matrices.

    Args:
        dim: channels in and out.
        expansion: inner channels over ``dim``.
        order: number of gates and long filters.
        width: of the network that gives the filters.
        kernel: tokens of the short convolutions, at least 2.
        causal: 1 to see only earlier tokens, 0 for the mean of both directions.
    """

    name, family = "sequence_hyena", "conv"
    elastic = {"expansion": (1, 2), "order": (1, 2), "width": (8, 16), "kernel": (2, 3), "causal": (0, 1)}
    layout = {
        "value.weight": "inner dim",
        "gates.weight": "(order inner) dim",
        "value_conv.weight": "inner 1 kernel@last",
        "value_conv.bias": "inner",
        "gates_conv.weight": "(order inner) 1 kernel@last",
        "gates_conv.bias": "(order inner)",
        "filter_in.weight": "width features",
        "filter_in.bias": "width",
        "filter_hidden.weight": "width width",
        "filter_hidden.bias": "width",
        "filter_out.weight": "(order inner) width",
        "filter_out.bias": "(order inner)",
        "log_rate": "order inner",
        "out.weight": "dim inner",
    }

    def __init__(self, dim: int, expansion: int, order: int, width: int, kernel: int, causal: int) -> None:
        super().__init__()
        inner = dim * expansion
        self.inner, self.order, self.looks_back = inner, order, causal
        self.value = nn.Linear(dim, inner, bias=False)
        self.gates = nn.Linear(dim, order * inner, bias=False)
        self.value_conv = CausalConv(inner, kernel)
        self.gates_conv = CausalConv(order * inner, kernel)
        self.filter_in = nn.Linear(1 + 2 * len(PERIODS), width)
        self.filter_hidden = nn.Linear(width, width)
        self.filter_out = nn.Linear(width, order * inner)
        rates = torch.logspace(-2, 0, inner)[torch.arange(inner) * 7 % inner]  # no order along the channels
        self.log_rate = nn.Parameter(rates.log().repeat(order, 1))
        self.out = nn.Linear(inner, dim, bias=False)

    def filters(self, distance: Tensor) -> Tensor:
        """The filters at ``distance`` ``(L,)``, ``(L, order, inner)`` in full precision."""
        turns = [distance * (2 * math.pi / period) for period in PERIODS]
        waves = [wave for turn in turns for wave in (turn.cos(), turn.sin())]
        features = torch.stack([distance / PERIODS[-1], *waves], -1).to(self.value.weight.dtype)
        hidden = self.filter_hidden(self.filter_in(features).sin()).sin()
        shape = full_precision(self.filter_out(hidden)).unflatten(-1, (self.order, self.inner))
        return shape * (-distance.view(-1, 1, 1) * full_precision(self.log_rate).exp()).exp()

    def core(self, value: Tensor, gates: Tensor, filters: Tensor) -> Tensor:
        """``(B, L, inner)``, ``(B, L, order * inner)`` and ``(L, order, inner)`` -> ``(B, L, inner)`` in full precision."""
        z = full_precision(self.value_conv(value)).permute(2, 0, 1)  # (inner, B, L): one product a channel
        gates = full_precision(self.gates_conv(gates)).unflatten(-1, (self.order, self.inner)).permute(2, 3, 0, 1)
        for order in range(self.order):
            z = gates[order] * (z @ toeplitz(filters[:, order].t()))
        return z.permute(1, 2, 0)

    def forward(self, x: Tensor) -> Tensor:
        filters = self.filters(positions(x, x.shape[1]))

        def core(value: Tensor, gates: Tensor) -> Tensor:
            return self.core(value, gates, filters)

        return self.out(both_ways(core, self.looks_back, self.value(x), self.gates(x)).to(x.dtype))

    def initial_state(self, batch: int, context: int) -> tuple[Tensor, ...]:
        """The inputs of the short convolutions before the first token, and the last ``context`` inputs of each filter."""
        require_causal(self, self.looks_back)
        past = full_precision(self.out.weight).new_zeros(batch, context, self.order, self.inner)
        return self.value_conv.initial_state(batch), self.gates_conv.initial_state(batch), past

    def decode(self, x: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        value, past_value = self.value_conv.decode(self.value(x), state[0])
        gates, past_gates = self.gates_conv.decode(self.gates(x), state[1])
        z, gates = full_precision(value), full_precision(gates).unflatten(-1, (self.order, self.inner))
        past = state[2]
        context = past.shape[1]
        filters = self.filters((context - 1) - positions(x, context))  # the oldest input first
        inputs = []
        for order in range(self.order):
            inputs.append(torch.cat([past[:, 1:, order], z.unsqueeze(1)], 1))
            z = gates[:, order] * (inputs[-1] * filters[:, order]).sum(1)
        return self.out(z.to(x.dtype)), past_value, past_gates, torch.stack(inputs, 2)

    @classmethod
    def state_size(cls, context: int, **sizes: int) -> int:
        inner, order = sizes["dim"] * sizes["expansion"], sizes["order"]
        return inner * ((sizes["kernel"] - 1) * (1 + order) + context * order)

    @classmethod
    def axes(cls, **sizes: int) -> dict[str, int]:
        return {**sizes, "inner": sizes["dim"] * sizes["expansion"], "features": 1 + 2 * len(PERIODS)}

    @classmethod
    def check(cls, shape: tuple[int, ...], **sizes: int) -> None:
        super().check(shape, **sizes)
        require(sizes["kernel"] >= 2, cls, "kernel", sizes["kernel"], "at least 2")

    @classmethod
    def work(cls, *extent: int, **sizes: int) -> tuple[int, int]:
        tokens, dim, width, times = extent[0], sizes["dim"], sizes["width"], 2 - sizes["causal"]
        inner, gates = dim * sizes["expansion"], dim * sizes["expansion"] * sizes["order"]
        features = 1 + 2 * len(PERIODS)
        filters = tokens * width * (features + width + gates), tokens * (2 * width + gates)
        mixing = sizes["kernel"] * (inner + gates) + tokens * gates
        macs = tokens * (dim * (2 * inner + gates) + times * mixing) + filters[0]
        return macs, tokens * (inner + gates + dim + times * (inner + 2 * gates)) + filters[1]
