"""The gated delta rule: a state that is decayed, corrected towards the new value, and read."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def chunk_power(tokens: int) -> int:
    """Tokens a chunk: a power of two no longer than the sequence needs; 16, and 32 for long ones, were fastest on a CPU."""
    length = 1
    while length < tokens and length < (16 if tokens <= 512 else 32):
        length *= 2
    return length


def unit_triangular_inverse(x: Tensor) -> Tensor:
    """``(I - x)^-1`` of strictly triangular ``x`` ``(..., c, c)``, c a power of two: the product of ``I + x^(2^i)``.

    Exact, for x is nilpotent, and made of matrix products only: runtimes have no triangular solve.
    """
    length = x.shape[-1]
    one = torch.ones(length, length, dtype=x.dtype, device=x.device).tril().triu()
    inverse, power, done = one + x, x, 2
    while done < length:
        power = power @ power
        inverse = inverse + inverse @ power
        done *= 2
    return inverse


def gated_delta_scan(
    q: Tensor, k: Tensor, v: Tensor, beta: Tensor, log_decay: Tensor, *, backward: bool = False
) -> Tensor:
    """Causal gated delta rule (Yang et al., Gated DeltaNet, arXiv 2412.06464), by chunks:

    ``S[t] = exp(log_decay[t]) (I - beta[t] k[t] k[t]^T) S[t-1] + beta[t] k[t] v[t]^T``, ``o[t] = S[t]^T q[t]``.

    Inside a chunk the corrections are one triangular system, solved by `unit_triangular_inverse`; between chunks a state
    ``(key_dim, head_dim)`` is carried. All exponents are at most 0, so nothing overflows.

    Args:
        q, k: queries (scaled as wanted) and keys (of length at most 1) ``(B, L, heads, key_dim)``.
        v: values ``(B, L, heads, head_dim)``.
        beta: strength of the correction, 0 to 1, ``(B, L, heads)``.
        log_decay: ``(B, L, heads)``, at most 0.
        backward: from the last token to the first.

    Returns:
        ``(B, L, heads, head_dim)``. All tensors in full precision.
    """
    batch, tokens, heads, key_dim = q.shape
    length = chunk_power(tokens)
    chunks = math.ceil(tokens / length)
    pad = chunks * length - tokens

    def chunked(t: Tensor) -> Tensor:
        """(B, L, heads, d) -> (chunks, B * heads, length, d)"""
        t = F.pad(t, (0, 0, 0, 0, 0, pad)) if pad else t
        t = t.reshape(batch, chunks, length, heads, -1).permute(1, 0, 3, 2, 4)
        return t.reshape(chunks, batch * heads, length, -1)

    q, k, v, beta, log_decay = (chunked(t) for t in (q, k, v, beta.unsqueeze(-1), log_decay.unsqueeze(-1)))
    ones = torch.ones(length, length, dtype=log_decay.dtype, device=q.device)
    seen, before = (ones.triu(), ones.triu(1)) if backward else (ones.tril(), ones.tril(-1))
    total = seen @ log_decay  # running sums in each chunk, (chunks, B * heads, length, 1)
    decay = ((total - total.transpose(-2, -1)) * seen).exp()
    keys = k.transpose(-2, -1)
    # correction of value i by the earlier ones, then what each value in truth adds: values - probes @ state
    solved = unit_triangular_inverse((k @ keys) * decay * (beta * -before)) * beta.transpose(-2, -1)
    inside, values = (q @ keys) * (decay * seen), solved @ v
    if chunks == 1:
        out = inside @ values
    else:
        probes = (solved * total.exp().transpose(-2, -1)) @ k
        end = total[:, :, :1] if backward else total[:, :, -1:]
        keep = (k * (end - total).exp()).transpose(-2, -1)
        chunk = list(zip(values.unbind(0), probes.unbind(0), keep.unbind(0), end.exp().unbind(0), strict=True))
        state = v.new_zeros(batch * heads, key_dim, v.shape[-1])
        states, added = [], []
        for value, probe, kept, left in chunk[::-1] if backward else chunk:
            states.append(state)
            added.append(value - probe @ state)
            if len(states) < chunks:
                state = left * state + kept @ added[-1]
        if backward:
            states, added = states[::-1], added[::-1]
        out = inside @ torch.stack(added) + (q @ torch.stack(states)) * total.exp()
    out = out.reshape(chunks, batch, heads, length, -1).permute(1, 0, 3, 2, 4)
    return out.reshape(batch, chunks * length, heads, -1)[:, :tokens]


def delta_work(tokens: int, heads: int, key_dim: int, head_dim: int) -> tuple[int, int]:
    """(MACs, activations) of one `gated_delta_scan`."""
    length = chunk_power(tokens)
    chunks = math.ceil(tokens / length)
    products = 2 * max(length.bit_length() - 2, 0)  # of the inverse
    padded, memory = chunks * length, key_dim * head_dim
    macs = padded * length * (1 + 2 * key_dim + 2 * head_dim + products * length)
    writes = padded * (1 + 2 * length + 2 * head_dim + products * length)
    if chunks > 1:
        macs += padded * (length * key_dim + 3 * memory) - length * memory
        writes += padded * (key_dim + 2 * head_dim) + (chunks - 1) * memory
    return heads * macs, heads * writes
