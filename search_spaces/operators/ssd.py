"""The cores of state-space duality: causal, both ways at once, and without causality. All are matrix products."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor


def chunk_length(tokens: int, single: int = 64, longest: int = 32, most: int = 128) -> int:
    """Tokens a chunk: one chunk up to ``single`` tokens (fewest calls), else chunks of at most ``longest``, of one length,
    and longer where there would be more than ``most`` of them.

    On a CPU the work inside chunks grows with their length; 32 was fastest from 196 to 4096 tokens.
    """
    if tokens <= single:
        return tokens
    return math.ceil(tokens / min(math.ceil(tokens / longest), most))


class Way(NamedTuple):
    """One direction of a scan: ``log_decay`` and, if the inputs are weighted, their positive ``gain``: ``(B, L, heads)``."""

    log_decay: Tensor
    gain: Tensor | None = None
    backward: bool = False


def ssd_scan(x: Tensor, log_decay: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """Causal state-space duality ``h[t] = exp(log_decay[t]) h[t-1] + b[t] x[t]``, ``y[t] = c[t] h[t]`` (Dao & Gu, Mamba-2,
    arXiv 2405.21060), by chunks and with matrix products: no loop over tokens.

    Args:
        x: values ``(B, L, heads, head_dim)``.
        log_decay: ``(B, L, heads)``, at most 0, fp32.
        b, c: input and output maps of the state ``(B, L, state)``, shared by the heads.

    Returns:
        ``(B, L, heads, head_dim)``.
    """
    return ssd_ways(x, b, c, Way(log_decay))


def ssd_ways(x: Tensor, b: Tensor, c: Tensor, *ways: Way) -> Tensor:
    """The sum of `ssd_scan` over ``ways``, each with inputs ``gain[t] b[t] x[t]`` and forward or backward over the tokens.

    Ways share the products ``c[i] b[j]`` and, inside chunks, the one with the values; a gain is an offset of the running
    sums of ``log_decay``. Exponents are sums of ``log_decay <= 0`` (and ``log(gain)``), so nothing overflows; their error is
    the rounding of a chunk's whole sum, which is why decays belong in full precision and chunks are short.
    """
    batch, tokens, heads, head_dim = x.shape
    length = chunk_length(tokens)
    chunks = math.ceil(tokens / length)
    pad = chunks * length - tokens

    def chunked(t: Tensor) -> Tensor:
        """(B, L, ...) -> (B * chunks, length, ...)"""
        t = F.pad(t, (0, 0) * (t.ndim - 2) + (0, pad)) if pad else t
        return t.reshape(batch * chunks, length, *t.shape[2:])

    x, b, c = chunked(x), chunked(b).transpose(1, 2), chunked(c)
    pairs = c @ b
    inside: Tensor | None = None
    outside: list[Tensor] = []
    for way in ways:
        log_decay = chunked(way.log_decay)
        mask = torch.ones(length, length, dtype=log_decay.dtype, device=x.device).tril()
        mask = mask.t() if way.backward else mask
        total = mask @ log_decay  # running sums in each chunk
        source = total if way.gain is None else total - chunked(way.gain).clamp(min=1e-30).log()
        exponents = (total.transpose(1, 2).unsqueeze(-1) - source.transpose(1, 2).unsqueeze(-2)) * mask
        weights = exponents.exp() * (pairs * mask).unsqueeze(1)
        inside = weights if inside is None else inside + weights
        if chunks > 1:
            end = total[:, :1] if way.backward else total[:, -1:]
            weighted = x * (end - source).exp().unsqueeze(-1).to(x.dtype)
            added = (b @ weighted.flatten(2)).reshape(batch, chunks, -1, heads, head_dim)
            before = _states_before(added, end.reshape(batch, chunks, 1, heads, 1), way.backward)
            read = c @ before.reshape(batch * chunks, -1, heads * head_dim).to(x.dtype)
            outside.append(read.unflatten(-1, (heads, head_dim)) * total.exp().unsqueeze(-1).to(x.dtype))
    assert inside is not None
    y = (inside.to(x.dtype) @ x.transpose(1, 2)).transpose(1, 2)
    for part in outside:
        y = y + part
    return y.reshape(batch, chunks * length, heads, head_dim)[:, :tokens]


def _states_before(added: Tensor, log_decay: Tensor, backward: bool) -> Tensor:
    """What each chunk adds ``(B, chunks, state, heads, head_dim)`` and its decay -> the state before each chunk.

    A loop, for products with a (chunks, chunks) matrix cost more on a CPU than the rest of the scan saves.
    """
    steps = list(zip(log_decay.exp().unbind(1), added.unbind(1), strict=True))
    state = torch.zeros_like(steps[0][1])
    before = [state]
    for kept, new in steps[:0:-1] if backward else steps[:-1]:
        state = kept * state + new
        before.append(state)
    return torch.stack(before[::-1] if backward else before, 1)


def nc_ssd(x: Tensor, weight: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """Non-causal state-space duality: one state ``sum of b[t] weight[t] x[t]`` over all tokens, read by every ``c[t]``.

    Shapes as in `ssd_scan`, ``weight`` ``(B, L, heads)``.
    """
    state = b.transpose(1, 2) @ (x * weight.unsqueeze(-1)).flatten(2)
    return (c @ state).unflatten(-1, x.shape[2:])


def scan_work(tokens: int, heads: int, head_dim: int, state: int, ways: int = 1) -> tuple[int, int]:
    """(MACs, activations) of one `ssd_scan`, or of one `ssd_ways` over so many ways."""
    inner, length = heads * head_dim, chunk_length(tokens)
    chunks = math.ceil(tokens / length)
    padded = chunks * length
    macs = padded * length * (state + inner + ways * heads)
    writes = padded * (length + inner + ways * heads)
    if chunks > 1:
        macs += ways * 2 * padded * state * inner
        writes += ways * (chunks * state + padded) * inner
    return macs, writes
