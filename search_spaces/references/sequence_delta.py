"""Gated delta networks over sequences: the memory's own update, one token after another."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from search_spaces.operators.sequence_delta import SequenceGatedDelta
from search_spaces.references.registry import degenerate, reference
from search_spaces.references.sequence_retention import recurrence
from search_spaces.references.sequence_ssd import causal_taps, silu, softplus


def unit(x: Tensor) -> Tensor:
    return x / torch.sqrt(torch.einsum("bld,bld->bl", x, x) + 1e-6)[..., None]


def head_inputs(op: Any, head: int, keys: Tensor, values: Tensor, strength_step: Tensor) -> tuple[Tensor, ...]:
    """q, k, v ``(B, L, .)``, beta and decay ``(B, L)`` of one head."""
    key, part = slice(head * op.key_dim, (head + 1) * op.key_dim), slice(head * op.head_dim, (head + 1) * op.head_dim)
    q, k = silu(causal_taps(keys, op.keys_conv.weight, None)).split(op.heads * op.key_dim, -1)
    v = silu(causal_taps(values, op.values_conv.weight, None))
    step = softplus(strength_step[..., op.heads + head] + op.step_bias[head])
    beta = 1 / (1 + torch.exp(-strength_step[..., head]))
    return (
        unit(q[..., key]) / op.key_dim**0.5,
        unit(k[..., key]),
        v[..., part],
        beta,
        (-op.log_rate[head].exp() * step).exp(),
    )


def delta_rule(q: Tensor, k: Tensor, v: Tensor, beta: Tensor, decay: Tensor) -> Tensor:
    """``S[t] = decay (I - beta k k^T) S[t-1] + beta k v^T``, with the matrix written out."""
    one = torch.eye(k.shape[-1], dtype=k.dtype)
    state, rows = torch.zeros(k.shape[0], k.shape[-1], v.shape[-1], dtype=k.dtype), []
    for t in range(k.shape[1]):
        outer = torch.einsum("bi,bj->bij", k[:, t], k[:, t])
        turn = decay[:, t, None, None] * (one - beta[:, t, None, None] * outer)
        state = turn @ state + beta[:, t, None, None] * torch.einsum("bi,bv->biv", k[:, t], v[:, t])
        rows.append(torch.einsum("bi,biv->bv", q[:, t], state))
    return torch.stack(rows, 1)


def _mixer(op: Any, x: Tensor, rule: Any) -> Tensor:
    values, gate = (x @ rows.T for rows in op.value_gate.weight.split(op.heads * op.head_dim))
    inputs = x @ op.query_key.weight.T, values, x @ op.strength_step.weight.T
    heads = []
    for head in range(op.heads):
        y = rule(*head_inputs(op, head, *inputs))
        if not op.looks_back:
            y = (y + rule(*head_inputs(op, head, *(t.flip(1) for t in inputs))).flip(1)) / 2
        heads.append(y / (y.square().mean(-1, keepdim=True) + op.norm.eps).sqrt() * op.norm.weight)
    return (torch.cat(heads, -1) * silu(gate)) @ op.out.weight.T


@reference("sequence_gated_delta")
def gated_delta(op: Any, x: Tensor) -> Tensor:
    return _mixer(op, x, delta_rule)


def _op(causal: int) -> Any:
    torch.manual_seed(0)
    return SequenceGatedDelta(dim=8, heads=2, key_dim=4, head_dim=6, kernel=3, causal=causal).double()


@degenerate("sequence_gated_delta", "by chunks on a long sequence (150 tokens): the recurrence")
def long_sequence() -> tuple[Tensor, Tensor]:
    op, x = _op(1), torch.randn(2, 150, 8, dtype=torch.float64)
    return op(x), gated_delta(op, x)


@degenerate("sequence_gated_delta", "keys of earlier tokens never met again (orthogonal): gated linear attention")
def orthogonal_keys() -> tuple[Tensor, Tensor]:
    from search_spaces.operators.gated_delta import gated_delta_scan

    torch.manual_seed(0)
    q, v = torch.randn(1, 40, 1, 40, dtype=torch.float64), torch.randn(1, 40, 1, 5, dtype=torch.float64)
    k = torch.linalg.qr(torch.randn(40, 40, dtype=torch.float64))[0].view(1, 40, 1, 40)
    beta, log_decay = torch.rand(1, 40, 1, dtype=torch.float64), -torch.rand(1, 40, 1, dtype=torch.float64)
    wanted = recurrence(q[:, :, 0], k[:, :, 0] * beta, v[:, :, 0], log_decay.exp())
    return gated_delta_scan(q, k, v, beta, log_decay)[:, :, 0], wanted


@degenerate("sequence_gated_delta", "not causal: mirrored tokens give the mirrored output")
def mirrored() -> tuple[Tensor, Tensor]:
    op, x = _op(0), torch.randn(2, 20, 8, dtype=torch.float64)
    return op(x.flip(1)), op(x).flip(1)
