"""The cores of linear mixers as one would first write them in PyTorch: one token after another. Shapes as in the cores."""

from __future__ import annotations

import torch
from torch import Tensor


def ssd(x: Tensor, log_decay: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """`search_spaces.operators.ssd.ssd_scan`."""
    state = x.new_zeros(x.shape[0], x.shape[2], b.shape[2], x.shape[3])
    out = []
    for value, rate, into, read in zip(x.unbind(1), log_decay.unbind(1), b.unbind(1), c.unbind(1), strict=True):
        state = rate.exp()[..., None, None] * state + into[:, None, :, None] * value[:, :, None]
        out.append((read[:, None, None] @ state).squeeze(2))
    return torch.stack(out, 1)


def nc_ssd(x: Tensor, weight: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """`search_spaces.operators.ssd.nc_ssd`: a pass that writes the state, and one that reads it."""
    state = x.new_zeros(x.shape[0], x.shape[2], b.shape[2], x.shape[3])
    for value, size, into in zip(x.unbind(1), weight.unbind(1), b.unbind(1), strict=True):
        state = state + into[:, None, :, None] * (size[..., None] * value)[:, :, None]
    return torch.stack([(read[:, None, None] @ state).squeeze(2) for read in c.unbind(1)], 1)


def gated_delta(q: Tensor, k: Tensor, v: Tensor, beta: Tensor, log_decay: Tensor) -> Tensor:
    """`search_spaces.operators.gated_delta.gated_delta_scan`."""
    state = v.new_zeros(v.shape[0], v.shape[2], k.shape[3], v.shape[3])
    out = []
    for query, key, value, strength, rate in zip(*(t.unbind(1) for t in (q, k, v, beta, log_decay)), strict=True):
        state = rate.exp()[..., None, None] * state
        wrong = value - (key.unsqueeze(2) @ state).squeeze(2)
        state = state + key.unsqueeze(3) * (strength[..., None] * wrong).unsqueeze(2)
        out.append((query.unsqueeze(2) @ state).squeeze(2))
    return torch.stack(out, 1)


def relu_linear(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """ReLU linear attention: a pass that sums keys with values, and one that reads."""
    state = v.new_zeros(v.shape[0], v.shape[2], k.shape[3], v.shape[3])
    total = k.new_zeros(k.shape[0], k.shape[2], k.shape[3])
    for key, value in zip(k.relu().unbind(1), v.unbind(1), strict=True):
        state = state + key.unsqueeze(3) * value.unsqueeze(2)
        total = total + key
    out = []
    for query in q.relu().unbind(1):
        out.append((query.unsqueeze(2) @ state).squeeze(2) / ((query * total).sum(-1, keepdim=True) + 1e-6))
    return torch.stack(out, 1)


def mamba(u: Tensor, step: Tensor, a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """`search_spaces.operators.mamba.selective_scan`."""
    state = u.new_zeros(u.shape[0], u.shape[2], a.shape[1])
    out = []
    for value, size, into, read in zip(u.unbind(1), step.unbind(1), b.unbind(1), c.unbind(1), strict=True):
        state = (size.unsqueeze(2) * a).exp() * state + (size * value).unsqueeze(2) * into.unsqueeze(1)
        out.append((state @ read.unsqueeze(2)).squeeze(2))
    return torch.stack(out, 1)
