"""Mamba's selective scan: a diagonal state-space model whose step, input and output maps depend on the token."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def selective_scan(u: Tensor, step: Tensor, a: Tensor, b: Tensor, c: Tensor, *, backward: bool = False) -> Tensor:
    """``h[t] = exp(step[t] a) h[t-1] + step[t] u[t] b[t]``, ``y[t] = c[t] h[t]`` (Gu & Dao, Mamba, arXiv 2312.00752).

    In two levels, with chunks of about ``sqrt(L)`` tokens: all chunks are scanned at once from an empty state, their last
    states are carried over the chunks, and all chunks are scanned again from the right state. That is ``3 sqrt(L)`` steps
    instead of L, every factor is at most 1, and nothing is divided, so it is stable for any decay.

    Args:
        u, step: inputs and step sizes (above 0) ``(B, L, D)``.
        a: rates ``(D, N)``, below 0.
        b, c: input and output maps of the state ``(B, L, N)``.
        backward: from the last token to the first.

    Returns:
        ``(B, L, D)``. All tensors in full precision.
    """
    batch, tokens, dim = u.shape
    length = math.ceil(math.sqrt(tokens))
    chunks = math.ceil(tokens / length)
    pad = chunks * length - tokens

    def places(t: Tensor, axis: int) -> list[Tensor]:
        """(B, L, d) -> for every place in a chunk ``(B * chunks, d)``, with a new axis; in the order of the scan."""
        t = F.pad(t, (0, 0, 0, pad)) if pad else t
        parts = t.reshape(batch * chunks, length, -1).transpose(0, 1).unsqueeze(axis).unbind(0)
        return list(parts[::-1] if backward else parts)

    rates = a.t()  # (N, D): the long axis last
    steps, outputs = places(step, -2), places(c, -2)
    decays = [(size * rates).exp() for size in steps]
    inputs = [into * value for into, value in zip(places(b, -1), places(u * step, -2), strict=True)]
    state = inputs[0]
    if chunks > 1:
        for decay, value in zip(decays[1:], inputs[1:], strict=True):
            state = decay * state + value
        whole = (torch.stack(steps).sum(0) * rates).exp()
        pairs = list(zip(*(t.unflatten(0, (batch, chunks)).unbind(1) for t in (whole, state)), strict=True))
        before = [torch.zeros_like(pairs[0][0])]
        for decay, value in pairs[:0:-1] if backward else pairs[:-1]:
            before.append(decay * before[-1] + value)
        state = inputs[0] + decays[0] * torch.stack(before[::-1] if backward else before, 1).flatten(0, 1)
    read = [outputs[0] @ state]
    for decay, value, out in zip(decays[1:], inputs[1:], outputs[1:], strict=True):
        state = decay * state + value
        read.append(out @ state)
    y = torch.cat(read[::-1] if backward else read, 1)  # (B * chunks, length, D)
    return y.reshape(batch, chunks * length, dim)[:, :tokens]


def selective_work(tokens: int, dim: int, state: int) -> tuple[int, int]:
    """(MACs, activations) of one `selective_scan`: only the reading of the state is a matrix product."""
    length = math.ceil(math.sqrt(tokens))
    padded = length * math.ceil(tokens / length)
    return padded * dim * state, padded * dim
