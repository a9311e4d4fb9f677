"""Mamba over sequences: the discretised state-space model, one token after another."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from search_spaces.operators.sequence_mamba import SequenceMamba
from search_spaces.references.registry import degenerate, reference
from search_spaces.references.sequence_ssd import causal_taps, silu, softplus


@reference("sequence_mamba")
def mamba(op: Any, x: Tensor) -> Tensor:
    gate, values = (x @ rows.T for rows in op.gate_values.weight.split(op.inner))

    def core(values: Tensor) -> Tensor:
        u = silu(causal_taps(values, op.conv.weight, op.conv.bias))
        step = softplus(u @ op.narrow.weight.T @ op.step.weight.T + op.step.bias)
        b, c = (u @ rows.T for rows in op.maps.weight.split(op.state))
        state, rows = torch.zeros(x.shape[0], op.inner, op.state, dtype=x.dtype), []
        for t in range(x.shape[1]):
            decay = torch.exp(-step[:, t, :, None] * torch.exp(op.log_rate))
            state = decay * state + torch.einsum("bd,bd,bn->bdn", step[:, t], u[:, t], b[:, t])
            rows.append(torch.einsum("bdn,bn->bd", state, c[:, t]) + op.skip * u[:, t])
        return torch.stack(rows, 1)

    y = core(values)
    if not op.looks_back:
        y = (y + core(values.flip(1)).flip(1)) / 2
    return (y * silu(gate)) @ op.out.weight.T


def _op(causal: int) -> Any:
    torch.manual_seed(0)
    return SequenceMamba(dim=6, expansion=2, state=3, rank=2, kernel=4, causal=causal).double()


@degenerate("sequence_mamba", "on a long sequence (150 tokens): the recurrence")
def long_sequence() -> tuple[Tensor, Tensor]:
    op, x = _op(1), torch.randn(2, 150, 6, dtype=torch.float64)
    return op(x), mamba(op, x)


@degenerate("sequence_mamba", "output maps 0: the gated short convolution without a state")
def without_state() -> tuple[Tensor, Tensor]:
    op, x = _op(1), torch.randn(2, 20, 6, dtype=torch.float64)
    op.maps.weight.data[3:] = 0
    gate, values = op.gate_values(x).chunk(2, -1)
    return op(x), (silu(causal_taps(values, op.conv.weight, op.conv.bias)) * silu(gate)) @ op.out.weight.T


@degenerate("sequence_mamba", "not causal: mirrored tokens give the mirrored output")
def mirrored() -> tuple[Tensor, Tensor]:
    op, x = _op(0), torch.randn(2, 20, 6, dtype=torch.float64)
    return op(x.flip(1)), op(x).flip(1)


@degenerate("sequence_mamba", "a state cut to its first entries: the same with the other maps 0")
def shorter_state() -> tuple[Tensor, Tensor]:
    long, short = _op(1), SequenceMamba(dim=6, expansion=2, state=2, rank=2, kernel=4, causal=1).double()
    cut = {name: t for name, t in long.state_dict().items() if name not in ("maps.weight", "log_rate")}
    short.load_state_dict(cut, strict=False)
    short.log_rate.data.copy_(long.log_rate[:, :2])
    short.maps.weight.data.copy_(long.maps.weight.unflatten(0, (2, 3))[:, :2].flatten(0, 1))
    long.maps.weight.data[[2, 5]] = 0
    x = torch.randn(2, 20, 6, dtype=torch.float64)
    return short(x), long(x)
