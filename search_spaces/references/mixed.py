"""Evidence for two ways to mix tokens side by side."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from search_spaces.references.attention_projections import (
    dense_attention,
    example,
    head,
    image_of,
    linear,
    made,
    mhsa_like,
    qkv,
    tokens_of,
)
from search_spaces.references.registry import degenerate, reference
from search_spaces.references.window import window_attention


def _conv3x3(conv: Any, x: Tensor) -> Tensor:
    """A full 3x3 convolution, tap by tap."""
    height, width = x.shape[2:]
    padded = x.new_zeros(*x.shape[:2], height + 2, width + 2)
    padded[:, :, 1:-1, 1:-1] = x
    total = torch.zeros_like(x[:, :1])
    for i in range(3):
        for j in range(3):
            tap = padded[:, :, i : i + height, j : j + width]
            total = total + torch.einsum("bchw,oc->bohw", tap, conv.weight[:, :, i, j])
    return total + conv.bias[:, None, None]


@reference("hybrid_attention")
def hybrid_attention(op: Any, x: Tensor) -> Tensor:
    """Dense masked attention plus the gated convolutions, tap by tap."""
    local = _conv3x3(op.squeeze, x)
    local = _conv3x3(op.expand, local * 0.5 * (1 + torch.erf(local / 2**0.5)))
    means = tokens_of(local).mean(1, keepdim=True)
    gate = 1 / (1 + (-linear(op.gate_out, linear(op.gate_in, means).clamp(min=0))).exp())
    return window_attention(op, x) + op.share * local * gate.mT.unsqueeze(-1)


@reference("local_global_attention")
def local_global_attention(op: Any, x: Tensor) -> Tensor:
    """Two dense maps a head: one knows only the tokens of the same window, the other the sums over blocks."""
    height, width = x.shape[2:]
    tokens = tokens_of(x)
    q, k, v = qkv(op, tokens)
    blocks = []
    for i in range(0, height, op.ratio):
        for j in range(0, width, op.ratio):
            block = x[:, :, i : i + op.ratio, j : j + op.ratio]
            blocks.append(
                (block * op.shrink.weight[:, 0, : block.shape[2], : block.shape[3]]).sum((2, 3)) + op.shrink.bias
            )
    coarse_k, coarse_v = linear(op.coarse, torch.stack(blocks, 1)).chunk(2, -1)
    far = dense_attention(q, coarse_k, coarse_v, op.heads)
    places = [(i // op.window, j // op.window) for i in range(height) for j in range(width)]
    near = torch.zeros_like(v)
    for window in set(places):
        members = [t for t, place in enumerate(places) if place == window]
        near[:, members] = dense_attention(q[:, members], k[:, members], v[:, members], op.heads)
    gate = (1 / (1 + (-linear(op.gate, tokens)).exp())).repeat_interleave(v.shape[-1] // op.heads, -1)
    return image_of(linear(op.out, gate * near + (1 - gate) * far), height, width)


@reference("global_token_attention")
def global_token_attention(op: Any, x: Tensor) -> Tensor:
    """Head by head, image and learned tokens in two parts that share the denominator."""
    q, k, v = qkv(op, tokens_of(x))
    if op.tokens is None:
        return image_of(linear(op.out, dense_attention(q, k, v, op.heads)), *x.shape[2:])
    _, more_k, more_v = (t.expand(len(x), -1, -1) for t in qkv(op, op.tokens.unsqueeze(0)))
    parts = []
    for index in range(op.heads):
        a, b, c, d, e = (head(t, op.heads, index) for t in (q, k, v, more_k, more_v))
        weights, more = (torch.einsum("bld,bmd->blm", a, t).div(a.shape[-1] ** 0.5).exp() for t in (b, d))
        total = weights.sum(-1, keepdim=True) + more.sum(-1, keepdim=True)
        parts.append((torch.einsum("blm,bmd->bld", weights, c) + torch.einsum("blm,bmd->bld", more, e)) / total)
    return image_of(linear(op.out, torch.cat(parts, -1)), *x.shape[2:])


@degenerate("hybrid_attention", "no share of the convolutions: window_attention")
def attention_alone() -> tuple[Tensor, Tensor]:
    sizes = {"dim": 12, "heads": 3, "head_dim": 4, "window": 4, "shift": 1}
    op, plain = made("hybrid_attention", **sizes, middle=4), made("window_attention", **sizes)
    op.share.data.zero_()
    plain.load_state_dict({name: t for name, t in op.state_dict().items() if name in plain.state_dict()})
    x = example(1, 2, 12, 7, 9)
    return op(x), plain(x)


def _one_branch(gate: float) -> tuple[Any, Tensor]:
    """With the gates of all tokens open (the windows alone) or shut (the coarse map alone)."""
    op = made("local_global_attention", dim=12, heads=3, head_dim=4, window=4, ratio=2)
    op.gate.weight.data.zero_()
    op.gate.bias.data.fill_(gate)
    return op, example(1, 2, 12, 7, 9)


@degenerate("local_global_attention", "coarse branch off: window_attention without a table")
def windows_alone() -> tuple[Tensor, Tensor]:
    op, x = _one_branch(60.0)
    plain = made("window_attention", dim=12, heads=3, head_dim=4, window=4, shift=0)
    shared = {name: t for name, t in op.state_dict().items() if name in plain.state_dict()}
    plain.load_state_dict({**shared, "table": torch.zeros_like(plain.table)})
    return op(x), plain(x)


@degenerate("local_global_attention", "windows off: strip_attention without compression")
def coarse_alone() -> tuple[Tensor, Tensor]:
    op, x = _one_branch(-60.0)
    plain = made("strip_attention", dim=12, heads=3, head_dim=4, key_dim=4, ratio=2)
    state = {name: t for name, t in op.state_dict().items() if name.startswith(("shrink", "out"))}
    for part in ("weight", "bias"):
        state[f"query.{part}"] = getattr(op.qkv, part)[:12]
        state[f"key.{part}"], state[f"value.{part}"] = getattr(op.coarse, part).chunk(2)
    plain.load_state_dict(state)
    return op(x), plain(x)


@degenerate("global_token_attention", "no learned token: mhsa")
def no_token() -> tuple[Tensor, Tensor]:
    op, x = made("global_token_attention", dim=12, heads=3, head_dim=8, extra=0), example(1, 2, 12, 5, 7)
    return op(x), mhsa_like(op, x)


@degenerate("global_token_attention", "learned tokens that repeat the image's: mhsa")
def repeated_tokens() -> tuple[Tensor, Tensor]:
    op, x = made("global_token_attention", dim=12, heads=3, head_dim=8, extra=35), example(1, 1, 12, 5, 7)
    op.tokens.data.copy_(x[0].flatten(1).mT)
    return op(x), mhsa_like(op, x)
