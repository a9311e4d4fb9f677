"""The Legendre memory: its differential equation, held over each token, one token after another."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from search_spaces.operators.lmu import SequenceLMU
from search_spaces.references.registry import degenerate, reference


def system(order: int, window: int) -> tuple[Tensor, Tensor]:
    """a and b of ``m[t] = a m[t-1] + b u[t]``: ``b = A^-1 (exp(A) - 1) B`` of the continuous A and B, entry by entry."""
    a, b = torch.zeros(order, order, dtype=torch.float64), torch.zeros(order, 1, dtype=torch.float64)
    for i in range(order):
        b[i, 0] = (2 * i + 1) * (-1) ** i / window
        for j in range(order):
            a[i, j] = (2 * i + 1) * (-1 if i < j else (-1) ** (i - j + 1)) / window
    held = torch.linalg.matrix_exp(a)
    return held, torch.linalg.solve(a, (held - torch.eye(order, dtype=torch.float64)) @ b)


@reference("sequence_lmu")
def streaming(op: Any, x: Tensor) -> Tensor:
    a, b = system(op.order, op.window)

    def memory(u: Tensor) -> Tensor:
        m, rows = torch.zeros(x.shape[0], op.memories, op.order, dtype=x.dtype), []
        for t in range(x.shape[1]):
            m = m @ a.T + u[:, t, :, None] * b[:, 0]
            rows.append(m)
        return torch.stack(rows, 1)

    u = x @ op.signal.weight.T
    m = memory(u)
    if not op.looks_back:
        m = (m + memory(u.flip(1)).flip(1)) / 2
    z = m.flatten(2) @ op.memory.weight.T + x @ op.here.weight.T + op.here.bias
    return z * 0.5 * (1 + torch.erf(z / math.sqrt(2)))


@degenerate("sequence_lmu", "by chunks on a long sequence (200 tokens): token by token")
def long_sequence() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    op = SequenceLMU(dim=6, memories=3, order=5, window=30, causal=1).double()
    x = torch.randn(2, 200, 6, dtype=torch.float64)
    return op(x), streaming(op, x)


@degenerate("sequence_lmu", "order 1: an exponential mean over the window")
def exponential_mean() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    op = SequenceLMU(dim=4, memories=2, order=1, window=20, causal=1).double()
    u, keep = torch.randn(1, 90, 2, dtype=torch.float64), math.exp(-1 / 20)
    m, rows = torch.zeros(1, 2, dtype=torch.float64), []
    for t in range(90):
        m = keep * m + (1 - keep) * u[:, t]
        rows.append(m)
    return op.core(u)[:, :, 0], torch.stack(rows, 1)


@degenerate("sequence_lmu", "a constant signal: in the end the constant polynomial, whose other coefficients are 0")
def constant_signal() -> tuple[Tensor, Tensor]:
    op = SequenceLMU(dim=4, memories=1, order=6, window=20, causal=1).double()
    m = op.core(torch.full((1, 300, 1), 3.0, dtype=torch.float64))[0, -1, :, 0]
    return m, torch.tensor([3.0, 0, 0, 0, 0, 0], dtype=torch.float64)
