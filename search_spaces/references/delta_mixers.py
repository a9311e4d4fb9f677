"""Evidence for the gated delta rule over images."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from search_spaces.operators.delta_mixers import GatedDelta
from search_spaces.operators.gated_delta import gated_delta_scan
from search_spaces.operators.ssd import ssd_scan
from search_spaces.references.registry import degenerate, reference
from search_spaces.references.slow import convolve_depthwise, swish
from search_spaces.references.ssd_mixers import token_orders


def recurrence(order: list[int], q: Tensor, k: Tensor, v: Tensor, beta: Tensor, log_decay: Tensor) -> Tensor:
    """The state as a matrix, multiplied by ``exp(log_decay) (1 - beta k k^T)`` at each token in ``order``."""
    state = torch.zeros(*v.shape[:1], v.shape[2], k.shape[3], v.shape[3], dtype=v.dtype)
    one = torch.eye(k.shape[3], dtype=v.dtype)
    y = torch.zeros_like(v)
    for t in order:
        key = k[:, t, :, :, None]
        turn = log_decay[:, t].exp()[..., None, None] * (one - beta[:, t, :, None, None] * key * key.mT)
        state = turn @ state + beta[:, t, :, None, None] * key * v[:, t, :, None]
        y[:, t] = torch.einsum("bhd,bhdp->bhp", q[:, t], state)
    return y


@reference("gated_delta")
def gated_delta(op: Any, x: Tensor) -> Tensor:
    """Token after token in every direction."""

    def spread(weight: Tensor, conv: Any) -> Tensor:
        image = torch.einsum("bchw,oc->bohw", x, weight)
        return swish(convolve_depthwise(image, conv.weight)).flatten(2).transpose(1, 2)

    heads, keys, inner = op.heads, op.heads * op.key_dim, op.heads * op.head_dim
    tokens = x.flatten(2).transpose(1, 2)
    q, k = spread(op.query_key.weight, op.keys_conv).split(keys, -1)
    v = spread(op.value_gate.weight[:inner], op.values_conv).unflatten(-1, (heads, op.head_dim))
    q, k = (t.unflatten(-1, (heads, op.key_dim)) for t in (q, k))
    q, k = (t / (t.square().sum(-1, keepdim=True) + 1e-6).sqrt() for t in (q, k))
    beta = 1 / (1 + (-tokens @ op.strength_step.weight[:heads].T).exp())
    total = torch.zeros_like(v)
    for scan, order in enumerate(token_orders(op.scans, *x.shape[2:])):
        size = (1 + (tokens @ op.strength_step.weight[heads:].T + op.step_bias[scan]).exp()).log()
        total = total + recurrence(order, q / op.key_dim**0.5, k, v, beta, -op.log_rate[scan].exp() * size)
    y = total / op.scans
    y = y / (y.square().mean(-1, keepdim=True) + op.norm.eps).sqrt() * op.norm.weight
    y = y.flatten(2) * swish(tokens @ op.value_gate.weight[inner:].T)
    return (y @ op.out.weight.T).transpose(1, 2).unflatten(2, x.shape[2:])


def _inputs(tokens: int, heads: int = 2, key_dim: int = 4, head_dim: int = 3) -> list[Tensor]:
    torch.manual_seed(0)
    q, k = torch.randn(2, 2, tokens, heads, key_dim, dtype=torch.float64)
    v = torch.randn(2, tokens, heads, head_dim, dtype=torch.float64)
    beta, decay = torch.rand(2, 2, tokens, heads, dtype=torch.float64)
    return [q, k / k.norm(dim=-1, keepdim=True), v, beta, -3 * decay]


@degenerate("gated_delta", "many chunks: the recurrence")
def chunks() -> tuple[Tensor, Tensor]:
    inputs = _inputs(600)
    return gated_delta_scan(*inputs), recurrence(list(range(600)), *inputs)


@degenerate("gated_delta", "one chunk: the solution of the triangular system over all tokens")
def one_chunk() -> tuple[Tensor, Tensor]:
    q, k, v, beta, log_decay = _inputs(13)
    sums = log_decay.cumsum(1).transpose(1, 2)
    decay = (sums[..., :, None] - sums[..., None, :]).exp().tril()
    q, k, v, beta = (t.transpose(1, 2) for t in (q, k, v, beta[..., None]))
    system = torch.eye(13, dtype=torch.float64) + (beta * (k @ k.mT) * decay).tril(-1)
    added = torch.linalg.solve_triangular(system, beta * v, upper=False)
    return gated_delta_scan(*_inputs(13)), (((q @ k.mT) * decay) @ added).transpose(1, 2)


@degenerate("gated_delta", "orthogonal keys: state-space duality, for nothing is corrected")
def orthogonal() -> tuple[Tensor, Tensor]:
    q, _, v, beta, log_decay = _inputs(20, 1, 20)
    k = torch.eye(20, dtype=torch.float64).expand(2, 20, 20)
    got = gated_delta_scan(q, k.unsqueeze(2), v, beta, log_decay)
    return got, ssd_scan(v * beta[..., None], log_decay, k, q.squeeze(2))


@degenerate("gated_delta", "a 1 x N image: 4 directions with the parameters of 2")
def one_row() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    two, four = (GatedDelta(dim=6, heads=2, key_dim=4, head_dim=3, kernel=3, scans=s).double() for s in (2, 4))
    four.load_state_dict(
        {n: t.repeat(2, 1) if n in ("step_bias", "log_rate") else t for n, t in two.state_dict().items()}
    )
    x = torch.randn(1, 6, 1, 90, dtype=torch.float64)
    return four(x), two(x)
