"""The real-gated linear recurrent unit, one token after another."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from search_spaces.operators.sequence_rglru import SequenceRGLRU, diagonal_scan
from search_spaces.references.registry import degenerate, reference
from search_spaces.references.sequence_ssd import causal_taps, softplus


@reference("sequence_rglru")
def recurrent_block(op: Any, x: Tensor) -> Tensor:
    inner = op.heads * op.head_dim
    values, beside = (x @ rows.T for rows in op.branches.weight.split(inner))
    input_map, decay_map = torch.block_diag(*op.input_gate), torch.block_diag(*op.decay_gate)

    def core(values: Tensor) -> Tensor:
        u = causal_taps(values, op.conv.weight, op.conv.bias)
        h, rows = torch.zeros(x.shape[0], inner, dtype=x.dtype), []
        for t in range(x.shape[1]):
            keep = 1 / (1 + torch.exp(-u[:, t] @ input_map - op.input_bias))
            gate = 1 / (1 + torch.exp(-u[:, t] @ decay_map - op.decay_bias))
            a = torch.exp(-softplus(op.rate)) ** (8 * gate)
            h = a * h + torch.sqrt(1 - a * a) * keep * u[:, t]
            rows.append(h)
        return torch.stack(rows, 1)

    y = core(values)
    if not op.looks_back:
        y = (y + core(values.flip(1)).flip(1)) / 2
    return (y * beside * 0.5 * (1 + torch.erf(beside / math.sqrt(2)))) @ op.out.weight.T


@degenerate("sequence_rglru", "by chunks on a long sequence (150 tokens): the recurrence")
def long_sequence() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    op, x = SequenceRGLRU(8, 2, 4, 3, 1).double(), torch.randn(2, 150, 8, dtype=torch.float64)
    return op(x), recurrent_block(op, x)


@degenerate("sequence_rglru", "no decay: a running sum; complete decay: the input")
def extremes() -> tuple[Tensor, Tensor]:
    x = torch.randn(2, 50, 3, dtype=torch.float64)
    got = diagonal_scan(x, torch.zeros_like(x)), diagonal_scan(x, torch.full_like(x, -1e4))
    return torch.stack(got), torch.stack([x.cumsum(1), x])
