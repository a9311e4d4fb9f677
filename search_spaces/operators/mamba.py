"""Mamba's selective scan: a diagonal state-space model whose step, input and output maps depend on the token."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def selective_scan(u: Tensor, step: Tensor, a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """``h[t] = exp(step[t] a) h[t-1] + step[t] u[t] b[t]``, ``y[t] = c[t] h[t]`` (Gu & Dao, Mamba, arXiv 2312.00752).

    In two levels, with chunks of about ``sqrt(L)`` tokens: all chunks are scanned at once from an empty state, their last
    states are carried over the chunks, and all chunks are scanned again from the right state. That is ``3 sqrt(L)`` calls
    instead of L, every factor is at most 1, and nothing is divided, so it is stable for any decay.

    Args:
        u, step: inputs and step sizes (above 0) ``(B, L, D)``.
        a: rates ``(D, N)``, below 0.
        b, c: input and output maps of the state ``(B, L, N)``.

    Returns:
        ``(B, L, D)``.
    """
    batch, tokens, dim = u.shape
    length = max(1, math.ceil(math.sqrt(tokens)))
    chunks = math.ceil(tokens / length)
    pad = chunks * length - tokens

    def by_place(t: Tensor) -> Tensor:
        """(B, L, d) -> (length, B * chunks, d): the tokens at one place of all chunks lie together."""
        t = F.pad(t, (0, 0, 0, pad)) if pad else t
        return t.reshape(batch * chunks, length, -1).transpose(0, 1)

    u, step, b, c = (by_place(t) for t in (u * step, step, b, c))
    rates = a.t()  # (N, D): the long axis last
    decays = (step.unsqueeze(-2) * rates).exp().unbind(0)
    inputs = (b.unsqueeze(-1) * u.unsqueeze(-2)).unbind(0)
    state = inputs[0]
    if chunks > 1:
        for decay, value in zip(decays[1:], inputs[1:], strict=True):
            state = torch.addcmul(value, decay, state)
        ends = state.reshape(batch, chunks, *state.shape[1:]).unbind(1)
        whole = (step.sum(0).unsqueeze(-2) * rates).exp().reshape(batch, chunks, *state.shape[1:]).unbind(1)
        carried = [torch.zeros_like(ends[0])]
        for decay, value in zip(whole[:-1], ends[:-1], strict=True):
            carried.append(torch.addcmul(value, decay, carried[-1]))
        state = torch.addcmul(inputs[0], decays[0], torch.stack(carried, 1).flatten(0, 1))
    states = [state]
    for decay, value in zip(decays[1:], inputs[1:], strict=True):
        states.append(torch.addcmul(value, decay, states[-1]))
    y = c.unsqueeze(-2) @ torch.stack(states)  # (length, B * chunks, 1, D)
    return y.squeeze(-2).transpose(0, 1).reshape(batch, chunks * length, dim)[:, :tokens]
