"""Retention and gated linear attention: their recurrences, one token after another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from search_spaces.operators.sequence_retention import GatedLinearAttention, Retention, gated_scan, retention_scan
from search_spaces.references.registry import degenerate, reference
from search_spaces.references.sequence_attention import complex_rotation

Recurrence = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]


def recurrence(q: Tensor, k: Tensor, v: Tensor, decay: Tensor) -> Tensor:
    """``S[t] = diag(decay[t]) S[t-1] + k[t]^T v[t]``, ``y[t] = q[t] S[t]``: one head, all ``(B, L, .)``."""
    state, rows = torch.zeros(q.shape[0], k.shape[-1], v.shape[-1], dtype=q.dtype), []
    for t in range(q.shape[1]):
        state = decay[:, t, :, None] * state + torch.einsum("bk,bv->bkv", k[:, t], v[:, t])
        rows.append(torch.einsum("bk,bkv->bv", q[:, t], state))
    return torch.stack(rows, 1)


def two_ways(core: Recurrence, causal: int, *inputs: Tensor) -> Tensor:
    """`recurrence`, or its mean with that over mirrored tokens."""
    y = core(*inputs)
    return y if causal else 0.5 * y + 0.5 * core(*(t.flip(1) for t in inputs)).flip(1)


def _mixer(op: Any, x: Tensor, decays: list[Tensor], turn: Callable[[Tensor], Tensor]) -> Tensor:
    inner, keys, outputs = op.heads * op.head_dim, op.heads * op.key_dim, []
    q, k = (x @ rows.T for rows in op.query_key.weight.split(keys))
    v, gate = (x @ rows.T for rows in op.value_gate.weight.split(inner))
    for head in range(op.heads):
        key, part = (
            slice(head * op.key_dim, (head + 1) * op.key_dim),
            slice(head * op.head_dim, (head + 1) * op.head_dim),
        )
        turned = turn(q[..., key]) / op.key_dim**0.5, turn(k[..., key])
        y = two_ways(recurrence, op.looks_back, *turned, v[..., part], decays[head])
        outputs.append(y / (y.square().mean(-1, keepdim=True) + op.norm.eps).sqrt() * op.norm.weight)
    return (torch.cat(outputs, -1) * gate * gate.sigmoid()) @ op.out.weight.T


@reference("sequence_retention")
def retention(op: Any, x: Tensor) -> Tensor:
    decays = [torch.full((*x.shape[:2], 1), 1 - 2.0 ** (-5 - head), dtype=x.dtype) for head in range(op.heads)]
    return _mixer(op, x, decays, complex_rotation)


@reference("sequence_gla")
def gated(op: Any, x: Tensor) -> Tensor:
    gate = x @ op.decay_in.weight.T @ op.decay.weight.T + op.decay.bias
    return _mixer(op, x, list((gate.sigmoid() ** (1 / 16)).split(op.key_dim, -1)), lambda t: t)


def _inputs(length: int, decays: int) -> tuple[Tensor, ...]:
    torch.manual_seed(0)
    q, k = torch.randn(2, 2, length, 1, 4, dtype=torch.float64)
    v = torch.randn(2, length, 1, 5, dtype=torch.float64)
    return q, k, v, -30 * torch.rand(2, length, 1, decays, dtype=torch.float64) ** 4


@degenerate("sequence_retention", "by chunks on a long sequence (150 tokens): the recurrence")
def long_retention() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    op = Retention(dim=8, heads=2, key_dim=4, head_dim=6, causal=1).double()
    x = torch.randn(2, 150, 8, dtype=torch.float64)
    return op(x), retention(op, x)


@degenerate("sequence_retention", "the parallel form: q k^T with a matrix of powers of the decay")
def parallel_form() -> tuple[Tensor, Tensor]:
    q, k, v, _ = _inputs(100, 1)
    age = torch.arange(100)[:, None] - torch.arange(100)
    powers = torch.where(age >= 0, 0.9 ** age.double(), 0.0)
    log_decay = torch.full((2, 100, 1, 1), 0.9, dtype=torch.float64).log()
    wanted = ((q.squeeze(2) @ k.squeeze(2).mT) * powers) @ v.squeeze(2)
    return retention_scan(q, k, v, log_decay).squeeze(2), wanted


@degenerate("sequence_gla", "by chunks, decays down to exp(-30) a token (150 tokens): the recurrence")
def strong_decays() -> tuple[Tensor, Tensor]:
    q, k, v, log_decay = _inputs(150, 4)
    wanted = recurrence(*(t.squeeze(2) for t in (q, k, v, log_decay.exp())))
    return gated_scan(q, k, v, log_decay).squeeze(2), wanted


@degenerate("sequence_gla", "equal decays on all channels: retention's scan")
def equal_decays() -> tuple[Tensor, Tensor]:
    q, k, v, log_decay = _inputs(90, 1)
    return gated_scan(q, k, v, log_decay.expand(-1, -1, -1, 4)), retention_scan(q, k, v, log_decay)


@degenerate("sequence_gla", "gates wide open: the running sum of linear attention without a feature map")
def no_decay() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    op = GatedLinearAttention(dim=8, heads=1, key_dim=4, head_dim=6, causal=1).double()
    op.decay.weight.data.zero_()
    op.decay.bias.data.fill_(1e3)
    x = torch.randn(2, 50, 8, dtype=torch.float64)
    q, k = op.query_key(x).chunk(2, -1)
    v, gate = op.value_gate(x).chunk(2, -1)
    y = ((q @ k.mT / 2) * torch.ones(50, 50, dtype=torch.float64).tril()) @ v
    y = y / (y.square().mean(-1, keepdim=True) + 1e-5).sqrt()
    return op(x), (y * F.silu(gate)) @ op.out.weight.T
