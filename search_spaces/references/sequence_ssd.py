"""Mamba-2 over sequences: its recurrence, one token after another."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from search_spaces.operators.sequence_ssd import SequenceSSD
from search_spaces.references.registry import degenerate, reference


def causal_taps(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Depthwise convolution of ``(B, L, C)`` with the last tokens, tap by tap."""
    kernel, y = weight.shape[-1], torch.zeros_like(x)
    for late in range(min(kernel, x.shape[1])):
        y[:, late:] += x[:, : x.shape[1] - late] * weight[:, 0, kernel - 1 - late]
    return y if bias is None else y + bias


def silu(x: Tensor) -> Tensor:
    return x / (1 + torch.exp(-x))


def softplus(x: Tensor) -> Tensor:
    return torch.log1p(torch.exp(x))


@reference("sequence_ssd")
def ssd(op: Any, x: Tensor) -> Tensor:
    inner = op.heads * op.head_dim
    gate, values = (x @ rows.T for rows in op.gate_values.weight.split(inner))

    def core(values: Tensor, maps: Tensor, step: Tensor) -> Tensor:
        values = silu(causal_taps(values, op.values_conv.weight, op.values_conv.bias))
        maps = silu(causal_taps(maps, op.maps_conv.weight, op.maps_conv.bias))
        b, c = maps[..., : op.state], maps[..., op.state :]
        heads = []
        for head in range(op.heads):
            u = values[..., head * op.head_dim : (head + 1) * op.head_dim]
            size = softplus(step[..., head] + op.step_bias[head])
            state, rows = torch.zeros(x.shape[0], op.head_dim, op.state, dtype=x.dtype), []
            for t in range(x.shape[1]):
                fresh = torch.einsum("b,bp,bn->bpn", size[:, t], u[:, t], b[:, t])
                state = torch.exp(-size[:, t] * torch.exp(op.log_rate[head]))[:, None, None] * state + fresh
                rows.append(torch.einsum("bpn,bn->bp", state, c[:, t]) + op.skip[head] * u[:, t])
            heads.append(torch.stack(rows, 1))
        return torch.cat(heads, -1)

    inputs = values, x @ op.maps.weight.T, x @ op.step.weight.T
    y = core(*inputs)
    if not op.looks_back:
        y = (y + core(*(t.flip(1) for t in inputs)).flip(1)) / 2
    y = y * silu(gate)
    return (y / (y.square().mean(-1, keepdim=True) + op.norm.eps).sqrt() * op.norm.weight) @ op.out.weight.T


def _op(causal: int) -> Any:
    torch.manual_seed(0)
    return SequenceSSD(dim=8, heads=2, head_dim=4, state=3, kernel=4, causal=causal).double()


@degenerate("sequence_ssd", "by chunks on a long sequence (150 tokens): the recurrence")
def long_sequence() -> tuple[Tensor, Tensor]:
    op, x = _op(1), torch.randn(2, 150, 8, dtype=torch.float64)
    return op(x), ssd(op, x)


@degenerate("sequence_ssd", "output maps 0: the gated short convolution without a state")
def without_state() -> tuple[Tensor, Tensor]:
    op, x = _op(1), torch.randn(2, 20, 8, dtype=torch.float64)
    op.maps.weight.data[3:], op.maps_conv.bias.data[3:] = 0, 0
    gate, values = op.gate_values(x).chunk(2, -1)
    y = silu(causal_taps(values, op.values_conv.weight, op.values_conv.bias)) * silu(gate)
    return op(x), (y / (y.square().mean(-1, keepdim=True) + 1e-5).sqrt()) @ op.out.weight.T


@degenerate("sequence_ssd", "not causal: mirrored tokens give the mirrored output")
def mirrored() -> tuple[Tensor, Tensor]:
    op, x = _op(0), torch.randn(2, 20, 8, dtype=torch.float64)
    return op(x.flip(1)), op(x).flip(1)
