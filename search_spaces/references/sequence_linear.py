"""Linear attention over sequences: all weights between tokens, one by one."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from search_spaces.operators.sequence_linear import LinearAttention, running_attention
from search_spaces.references.registry import degenerate, reference


@reference("sequence_linear_attention")
def quadratic(op: Any, x: Tensor) -> Tensor:
    inner, length, outputs = op.heads * op.head_dim, x.shape[1], []
    q, k, v = (x @ rows.T for rows in op.qkv.weight.split(inner))
    for head in range(op.heads):
        part = slice(head * op.head_dim, (head + 1) * op.head_dim)
        weights = (F.elu(q[..., part]) + 1) @ (F.elu(k[..., part]) + 1).mT
        if op.looks_back:
            weights = weights.masked_fill(torch.ones(length, length, dtype=torch.bool).triu(1), 0.0)
        outputs.append(weights @ v[..., part] / (weights.sum(-1, keepdim=True) + 1e-6))
    return torch.cat(outputs, -1) @ op.out.weight.T


@degenerate("sequence_linear_attention", "by chunks on a long sequence (150 tokens): all pairs of tokens")
def long_sequence() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    op = LinearAttention(dim=8, heads=2, head_dim=4, causal=1).double()
    x = torch.randn(2, 150, 8, dtype=torch.float64)
    return op(x), quadratic(op, x)


@degenerate("sequence_linear_attention", "queries and keys 0: the mean of the values so far")
def mean_so_far() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    op = LinearAttention(dim=8, heads=2, head_dim=4, causal=1).double()
    op.qkv.weight.data[:16] = 0
    x = torch.randn(2, 70, 8, dtype=torch.float64)
    count = torch.arange(1, 71, dtype=torch.float64)[:, None]
    sums = 4 * (x @ op.qkv.weight[16:].T).cumsum(1)
    return op(x), sums / (4 * count + 1e-6) @ op.out.weight.T


@degenerate("sequence_linear_attention", "one key and query channel of ones: a running sum")
def running_sum() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    ones, v = torch.ones(2, 100, 3, 1, dtype=torch.float64), torch.randn(2, 100, 3, 5, dtype=torch.float64)
    return running_attention(ones, ones, v), v.cumsum(1)
