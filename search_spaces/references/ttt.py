"""Test-time training: the inner loss written out and differentiated by autograd, one token after another."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from search_spaces.operators.ttt import SequenceTTT
from search_spaces.references.registry import degenerate, reference


def _answer(op: Any, head: int, k: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    scale, shift = op.inner_scale[head], op.inner_shift[head]
    return k + F.layer_norm(k @ weight + bias, scale.shape, scale, shift, 1e-6)


def train(op: Any, head: int, q: Tensor, k: Tensor, v: Tensor, rate: Tensor) -> Tensor:
    """One sequence and head ``(L, head_dim)``: a step of gradient descent a token, from the mini-batch's first weights."""
    weight, bias, rows = op.weight[head].detach(), op.bias[head].detach(), []
    for t in range(len(q)):
        if t % op.mini_batch == 0:
            first = weight.clone().requires_grad_(), bias.clone().requires_grad_()
        with torch.enable_grad():
            loss = (_answer(op, head, k[t], *first) - v[t]).square().sum() / 2
            by_weight, by_bias = torch.autograd.grad(loss, first)
        weight, bias = weight - rate[t] * by_weight, bias - rate[t] * by_bias
        rows.append(_answer(op, head, q[t], weight, bias))
    return torch.stack(rows)


@reference("sequence_ttt")
def sequential(op: Any, x: Tensor) -> Tensor:
    inner, heads = op.heads * op.head_dim, []
    q, k, v = ((x @ rows.T).detach() for rows in op.qkv.weight.split(inner))
    rate = ((x @ op.rate.weight.T + op.rate.bias).sigmoid() / op.head_dim).detach()
    for head in range(op.heads):
        part = slice(head * op.head_dim, (head + 1) * op.head_dim)
        rows = []
        for inputs in zip(q[..., part], k[..., part], v[..., part], rate[..., head], strict=True):
            y = train(op, head, *inputs)
            if not op.looks_back:
                y = (y + train(op, head, *(t.flip(0) for t in inputs)).flip(0)) / 2
            rows.append(y)
        heads.append(torch.stack(rows))
    y = torch.cat(heads, -1)
    return (y / (y.square().mean(-1, keepdim=True) + op.norm.eps).sqrt() * op.norm.weight) @ op.out.weight.T


def _op(mini_batch: int) -> Any:
    torch.manual_seed(0)
    return SequenceTTT(dim=8, heads=2, head_dim=4, mini_batch=mini_batch, causal=1).double()


@degenerate("sequence_ttt", "inner learning rate 0: the static map q + norm(q W + b)")
def static() -> tuple[Tensor, Tensor]:
    op, x = _op(4), torch.randn(2, 18, 8, dtype=torch.float64)
    op.rate.weight.data.zero_()
    op.rate.bias.data.fill_(-1e3)
    q = (x @ op.qkv.weight[:8].T).unflatten(-1, (2, 4))
    y = torch.stack([_answer(op, head, q[:, :, head], op.weight[head], op.bias[head]) for head in (0, 1)], 2).flatten(2)
    return op(x), (y / (y.square().mean(-1, keepdim=True) + 1e-5).sqrt()) @ op.out.weight.T


@degenerate("sequence_ttt", "mini-batch 1: online gradient descent")
def online() -> tuple[Tensor, Tensor]:
    op, x = _op(1), torch.randn(2, 12, 8, dtype=torch.float64)
    return op(x), sequential(op, x)


@degenerate("sequence_ttt", "mini-batch = sequence, values that the first weights already give: nothing is learned")
def nothing_to_learn() -> tuple[Tensor, Tensor]:
    op, x = _op(12), torch.randn(1, 12, 8, dtype=torch.float64)
    q, k, _, rate = op.project(x)
    v = torch.stack([_answer(op, head, k[:, :, head], op.weight[head], op.bias[head]) for head in (0, 1)], 2)
    wanted = torch.stack([_answer(op, head, q[:, :, head], op.weight[head], op.bias[head]) for head in (0, 1)], 2)
    return op.core(q, k, v, rate), wanted
