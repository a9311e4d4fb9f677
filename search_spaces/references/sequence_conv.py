"""Gated convolutions over sequences: tap by tap, and long filters by Fourier transforms."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from search_spaces.operators.sequence_conv import Hyena, SequenceShortConv
from search_spaces.references.registry import degenerate, reference
from search_spaces.references.sequence_ssd import causal_taps


@reference("sequence_short_conv")
def short_conv(op: Any, x: Tensor) -> Tensor:
    b, c, v = torch.tensor_split(x @ op.gates.weight.T, 3, -1)
    y = causal_taps(b * v, op.conv.weight, None)
    if not op.looks_back:
        y = (y + causal_taps((b * v).flip(1), op.conv.weight, None).flip(1)) / 2
    return (c * y) @ op.out.weight.T


@degenerate("sequence_short_conv", "only the last tap, of 1: products of three linear maps")
def no_neighbours() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    op = SequenceShortConv(dim=6, expansion=2, kernel=3, causal=1).double()
    op.conv.weight.data.zero_()
    op.conv.weight.data[..., -1] = 1
    x = torch.randn(2, 9, 6, dtype=torch.float64)
    b, c, v = (x @ op.gates.weight.T).chunk(3, -1)
    return op(x), (b * c * v) @ op.out.weight.T


def implicit_filter(op: Any, order: int, length: int) -> Tensor:
    """Filter ``order`` at 0 ... ``length - 1``, ``(length, inner)``."""
    rows = []
    for t in range(length):
        features = [t / 256]
        for period in (4, 16, 64, 256):
            features += [math.cos(2 * math.pi * t / period), math.sin(2 * math.pi * t / period)]
        hidden = torch.sin(op.filter_in.weight @ torch.tensor(features, dtype=torch.float64) + op.filter_in.bias)
        hidden = torch.sin(op.filter_hidden.weight @ hidden + op.filter_hidden.bias)
        shape = (op.filter_out.weight @ hidden + op.filter_out.bias).view(op.order, op.inner)[order]
        rows.append(shape * torch.exp(-t * torch.exp(op.log_rate[order])))
    return torch.stack(rows)


def fourier_convolution(x: Tensor, kernel: Tensor) -> Tensor:
    """Causal convolution of ``(B, L, C)`` with ``(L, C)``."""
    length = x.shape[1]
    return torch.fft.irfft(torch.fft.rfft(x, 2 * length, 1) * torch.fft.rfft(kernel, 2 * length, 0), 2 * length, 1)[
        :, :length
    ]


@reference("sequence_hyena")
def hyena(op: Any, x: Tensor) -> Tensor:
    def core(value: Tensor, gates: Tensor) -> Tensor:
        z = causal_taps(value, op.value_conv.weight, op.value_conv.bias)
        gates = causal_taps(gates, op.gates_conv.weight, op.gates_conv.bias)
        for order in range(op.order):
            z = fourier_convolution(z, implicit_filter(op, order, x.shape[1]))
            z = gates[..., order * op.inner : (order + 1) * op.inner] * z
        return z

    value, gates = x @ op.value.weight.T, x @ op.gates.weight.T
    y = core(value, gates)
    if not op.looks_back:
        y = (y + core(value.flip(1), gates.flip(1)).flip(1)) / 2
    return y @ op.out.weight.T


def _plain_hyena(log_rate: float) -> Any:
    """Filters ``exp(-t exp(log_rate))``, and short convolutions that do nothing."""
    torch.manual_seed(0)
    op = Hyena(dim=6, expansion=1, order=1, width=4, kernel=2, causal=1).double()
    op.filter_out.weight.data.zero_()
    op.filter_out.bias.data.fill_(1)
    op.log_rate.data.fill_(log_rate)
    for conv in (op.value_conv, op.gates_conv):
        conv.weight.data.zero_()
        conv.weight.data[..., -1] = 1
    return op


@degenerate("sequence_hyena", "filters that vanish at once: a product of two linear maps")
def pointwise() -> tuple[Tensor, Tensor]:
    op = _plain_hyena(8.0)
    x = torch.randn(2, 9, 6, dtype=torch.float64)
    return op(x), ((x @ op.value.weight.T) * (x @ op.gates.weight.T)) @ op.out.weight.T


@degenerate("sequence_hyena", "exponential filters: a leaky sum, one token after another")
def leaky() -> tuple[Tensor, Tensor]:
    op = _plain_hyena(-2.0)
    x = torch.randn(2, 100, 6, dtype=torch.float64)
    value, total, rows = x @ op.value.weight.T, torch.zeros(2, 6, dtype=torch.float64), []
    for t in range(100):
        total = total * math.exp(-math.exp(-2.0)) + value[:, t]
        rows.append(total)
    return op(x), (torch.stack(rows, 1) * (x @ op.gates.weight.T)) @ op.out.weight.T
