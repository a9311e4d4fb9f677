"""Evidence for axial attention."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from search_spaces.operators.axial import AxialAttention
from search_spaces.references.dense import dense, image, seeded
from search_spaces.references.registry import degenerate, reference
from search_spaces.references.window import full_attention


@reference("axial_attention")
def axial_attention(op: Any, x: Tensor) -> Tensor:
    """All pairs of tokens, those of other rows (of other columns) hidden."""
    rows = dense(op.rows, x, lambda y, x, y2, x2: [0.0] * op.rows.heads if y == y2 else None)
    seen = x + rows if op.chained else x
    return rows + dense(op.columns, seen, lambda y, x, y2, x2: [0.0] * op.rows.heads if x == x2 else None)


@degenerate("axial_attention", "an image of one row: full attention, and a linear map of each token")
def one_row() -> tuple[Tensor, Tensor]:
    op, x = seeded(AxialAttention, dim=12, heads=3, head_dim=4, chained=1), image(2, 12, 1, 9)
    rows = full_attention(op.rows)(x)
    values = (x + rows).movedim(1, -1) @ op.columns.qkv.weight[24:].T + op.columns.qkv.bias[24:]
    return op(x), rows + (values @ op.columns.out.weight.T + op.columns.out.bias).movedim(-1, 1)


@degenerate("axial_attention", "columns permuted: the permuted output")
def permuted() -> tuple[Tensor, Tensor]:
    op, x = seeded(AxialAttention, dim=12, heads=3, head_dim=4, chained=0), image(2, 12, 4, 6)
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    return op(x[..., order]), op(x)[..., order]
