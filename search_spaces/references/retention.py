"""Evidence for Manhattan retention."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from search_spaces.operators import get_operator
from search_spaces.references.attention_projections import (
    attention_map,
    depthwise,
    example,
    head,
    image_of,
    linear,
    made,
    qkv,
    tokens_of,
)
from search_spaces.references.registry import degenerate, reference


def _faded(q: Tensor, k: Tensor, v: Tensor, gamma: Tensor, places: list[tuple[int, int]]) -> Tensor:
    """Attention of ``(B, L, d)`` with every weight times gamma to the power of the Manhattan distance."""
    weights = attention_map(q, k)
    outputs = []
    for i, (row, column) in enumerate(places):
        powers = torch.stack([gamma ** (abs(row - r) + abs(column - c)) for r, c in places])
        outputs.append(((weights[:, i] * powers).unsqueeze(-1) * v).sum(1))
    return torch.stack(outputs, 1)


@reference("manhattan_retention")
def manhattan_retention(op: Any, x: Tensor) -> Tensor:
    """Pair by pair of pixels; the axial form row by row, then column by column."""
    height, width = x.shape[2:]
    places = [(i, j) for i in range(height) for j in range(width)]
    rows = [[i * width + j for j in range(width)] for i in range(height)]
    columns = [[i * width + j for i in range(height)] for j in range(width)]
    q, k, v = qkv(op, tokens_of(x))
    parts = []
    for index in range(op.heads):
        gamma = (-op.log_rate[index].exp()).exp()
        a, b, c = (head(t, op.heads, index) for t in (q, k, v))
        if op.axial:
            for lines in (rows, columns):
                mixed = torch.zeros_like(c)
                for line in lines:
                    mixed[:, line] = _faded(a[:, line], b[:, line], c[:, line], gamma, [places[t] for t in line])
                c = mixed
        else:
            c = _faded(a, b, c, gamma, places)
        parts.append(c)
    local = depthwise(image_of(v, height, width), op.local.weight, op.local.bias)
    return image_of(linear(op.out, torch.cat(parts, -1) + tokens_of(local)), height, width)


@degenerate("manhattan_retention", "gamma 1: mhsa, whose position branch is the convolution of the values")
def no_decay() -> tuple[Tensor, Tensor]:
    op = made("manhattan_retention", dim=12, heads=3, head_dim=8, kernel=3, axial=0)
    op.log_rate.data.fill_(-torch.inf)
    plain = get_operator("mhsa")(dim=12, heads=3, head_dim=8).double()
    plain.load_state_dict(
        {name.replace("local", "position"): t for name, t in op.state_dict().items() if name != "log_rate"}
    )
    x = example(1, 2, 12, 5, 7)
    return op(x), plain(x)


def _one_line(*extent: int) -> tuple[Tensor, Tensor]:
    axial = made("manhattan_retention", dim=12, heads=3, head_dim=8, kernel=3, axial=1)
    full = made("manhattan_retention", dim=12, heads=3, head_dim=8, kernel=3, axial=0)
    full.load_state_dict(axial.state_dict())
    x = example(1, 2, 12, *extent)
    return axial(x), full(x)


@degenerate("manhattan_retention", "one row: decomposed equals full")
def one_row() -> tuple[Tensor, Tensor]:
    return _one_line(1, 9)


@degenerate("manhattan_retention", "one column: decomposed equals full")
def one_column() -> tuple[Tensor, Tensor]:
    return _one_line(9, 1)


@degenerate("manhattan_retention", "gamma 0: each pixel's own value, weighted by its attention to itself")
def all_decay() -> tuple[Tensor, Tensor]:
    op, x = made("manhattan_retention", dim=12, heads=3, head_dim=8, kernel=3, axial=0), example(1, 2, 12, 5, 7)
    op.log_rate.data.fill_(20.0)
    for t in op.local.parameters():
        t.data.zero_()
    q, k, v = (t.unflatten(-1, (3, 8)).transpose(1, 2) for t in qkv(op, x.flatten(2).mT))
    own = (q @ k.mT / 8**0.5).softmax(-1).diagonal(dim1=-2, dim2=-1).unsqueeze(-1) * v
    return op(x), (own.transpose(1, 2).flatten(2) @ op.out.weight.mT + op.out.bias).mT.unflatten(-1, (5, 7))
