"""The gated delta rule: a state that is decayed, corrected towards the new value, and read."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def chunk_power(tokens: int, longest: int = 32) -> int:
    """Tokens a chunk: a power of two, at most ``longest`` and no longer than the sequence needs."""
    return min(longest, 1 << max(tokens - 1, 0).bit_length())


def unit_lower_inverse(x: Tensor) -> Tensor:
    """``(I - x)^-1`` of strictly lower triangular ``x`` ``(..., c, c)``, c a power of two: the product of ``I + x^(2^i)``.

    Exact, for x is nilpotent, and made of matrix products only: runtimes have no triangular solve.
    """
    length = x.shape[-1]
    inverse, power, done = torch.eye(length, dtype=x.dtype, device=x.device) + x, x, 2
    while done < length:
        power = power @ power
        inverse = inverse + inverse @ power
        done *= 2
    return inverse


def gated_delta_scan(
    q: Tensor, k: Tensor, v: Tensor, beta: Tensor, log_decay: Tensor, length: int | None = None
) -> Tensor:
    """Causal gated delta rule (Yang et al., Gated DeltaNet, arXiv 2412.06464), by chunks:

    ``S[t] = exp(log_decay[t]) (I - beta[t] k[t] k[t]^T) S[t-1] + beta[t] k[t] v[t]^T``, ``o[t] = S[t]^T q[t]``.

    Inside a chunk the corrections are one triangular system, solved by `unit_lower_inverse`; between chunks a state
    ``(key_dim, head_dim)`` is carried. All exponents are at most 0, so nothing overflows.

    Args:
        q, k: queries (scaled as wanted) and keys (of length at most 1) ``(B, L, heads, key_dim)``.
        v: values ``(B, L, heads, head_dim)``.
        beta: strength of the correction, 0 to 1, ``(B, L, heads)``.
        log_decay: ``(B, L, heads)``, at most 0.
        length: tokens a chunk, a power of two; a matter of speed alone.

    Returns:
        ``(B, L, heads, head_dim)``.
    """
    batch, tokens, heads, _ = q.shape
    length = length or chunk_power(tokens)
    chunks = math.ceil(tokens / length)
    pad = chunks * length - tokens

    def chunked(t: Tensor) -> Tensor:
        """(B, L, heads, d) -> (chunks, B * heads, length, d): each chunk contiguous."""
        t = F.pad(t, (0, 0, 0, 0, 0, pad)) if pad else t
        t = t.reshape(batch, chunks, length, heads, -1).permute(1, 0, 3, 2, 4)
        return t.reshape(chunks, batch * heads, length, -1)

    q, k, v, beta, log_decay = (chunked(t) for t in (q, k, v, beta.unsqueeze(-1), log_decay.unsqueeze(-1)))
    lower = torch.ones(length, length, dtype=log_decay.dtype, device=q.device).tril()
    total = lower @ log_decay  # running sums in each chunk, (chunks, B * heads, length, 1)
    decay = (total - total.transpose(-2, -1)).clamp(max=0.0).exp() * lower
    grown, weighted = total.exp(), k * beta
    keys = k.transpose(-2, -1)
    inverse = unit_lower_inverse((weighted @ keys) * decay * (lower.tril(-1) * -1.0))
    values, probes = inverse @ (v * beta), inverse @ (weighted * grown)
    inside = (q @ keys) * decay
    if chunks == 1:
        out = inside @ values
    else:
        end = total[:, :, -1:]
        keep, ends = (k * (end - total).exp()).transpose(-2, -1).unbind(0), end.exp().unbind(0)
        state = torch.zeros_like(keep[0] @ values[0])
        states, fresh = [], []
        for i, (value, probe) in enumerate(zip(values.unbind(0), probes.unbind(0), strict=True)):
            states.append(state)
            fresh.append(value - probe @ state)
            state = state * ends[i] + keep[i] @ fresh[i]
        out = inside @ torch.stack(fresh) + (q * grown) @ torch.stack(states)
    out = out.reshape(chunks, batch, heads, length, -1).permute(1, 0, 3, 2, 4)
    return out.reshape(batch, chunks * length, heads, -1)[:, :tokens]
