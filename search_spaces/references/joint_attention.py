"""Evidence for joint local and global gated attention."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from search_spaces.references.attention_projections import example, image_of, linear, made, tokens_of
from search_spaces.references.registry import degenerate, reference


def _silu(x: Tensor) -> Tensor:
    return x / (1 + (-x).exp())


@reference("joint_attention")
def joint_attention(op: Any, x: Tensor) -> Tensor:
    """One dense map of all pairs of tokens, entry by entry: windows quadratic, everything linear."""
    height, width = x.shape[2:]
    tokens = tokens_of(x)
    gate, values = _silu(linear(op.gate_values, tokens)).chunk(2, -1)
    shared = _silu(linear(op.shared, tokens))
    q, k, far_q, far_k = (shared * s + o for s, o in zip(op.scale, op.offset, strict=True))
    places = [(i // op.window, j // op.window) for i in range(height) for j in range(width)]
    rows = []
    for t, place in enumerate(places):
        row = []
        for s, other in enumerate(places):
            weight = (far_q[:, t] * far_k[:, s]).sum(-1) / len(places)
            if other == place:
                product = (q[:, t] * k[:, s]).sum(-1) / q.shape[-1] ** 0.5
                weight = weight + product.clamp(min=0) ** 2 / places.count(place)
            row.append(weight)
        rows.append(torch.stack(row, -1))
    weights = torch.stack(rows, 1)
    mixed_gate, mixed_values = weights @ gate, weights @ values
    joined = mixed_gate * values / (1 + (-mixed_values * gate).exp())
    return image_of(linear(op.out, joined), height, width)


def _example(window: int, silent: slice) -> tuple[Any, Tensor, Tensor, Tensor]:
    """An operator without the local (0:2) or global (2:4) queries and keys, its input, gate and values."""
    op = made("joint_attention", dim=12, expansion=1, key_dim=8, window=window)
    op.offset.data.copy_(example(2, 4, 8))
    op.scale.data[silent].zero_()
    op.offset.data[silent].zero_()
    x = example(1, 2, 12, 5, 7)
    gate, values = torch.nn.functional.silu(op.gate_values(x.flatten(2).mT)).chunk(2, -1)
    return op, x, gate, values


def _finish(op: Any, weights: Tensor, gate: Tensor, values: Tensor) -> Tensor:
    joined = (weights @ gate) * values * torch.sigmoid((weights @ values) * gate)
    return op.out(joined).mT.unflatten(-1, (5, 7))


def _queries(op: Any, x: Tensor, first: int) -> list[Tensor]:
    shared = torch.nn.functional.silu(op.shared(x.flatten(2).mT))
    return [shared * op.scale[i] + op.offset[i] for i in (first, first + 1)]


@degenerate("joint_attention", "no local part: linear attention of the whole image, in its quadratic form")
def no_local() -> tuple[Tensor, Tensor]:
    op, x, gate, values = _example(4, slice(0, 2))
    q, k = _queries(op, x, 2)
    return op(x), _finish(op, q @ k.mT / 35, gate, values)


@degenerate("joint_attention", "no global part, window = image: the squared ReLU attention of all pairs")
def no_global() -> tuple[Tensor, Tensor]:
    op, x, gate, values = _example(7, slice(2, 4))
    q, k = _queries(op, x, 0)
    return op(x), _finish(op, torch.relu(q @ k.mT / 8**0.5) ** 2 / 35, gate, values)
