"""Position operators, place by place."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from search_spaces.operators.positions import NoPosition, PositionEncodingGenerator, PositionTable, SinCosPosition
from search_spaces.references.channel_mixers import depthwise
from search_spaces.references.mlp import fill
from search_spaces.references.registry import degenerate, reference


@reference("no_position")
def no_position(op: NoPosition, x: Tensor) -> Tensor:
    return x.clone()


@reference("peg")
def peg(op: PositionEncodingGenerator, x: Tensor) -> Tensor:
    return x + depthwise(x, op.depthwise.weight, op.depthwise.bias)


@reference("position_table")
def position_table(op: PositionTable, x: Tensor) -> Tensor:
    return x + F.interpolate(op.table[None], size=x.shape[2:], mode="bilinear", align_corners=False)[0]


@reference("sincos_position")
def sincos_position(op: SinCosPosition, x: Tensor) -> Tensor:
    y, quarter = x.clone(), x.shape[1] // 4
    for c in range(quarter):
        for i in range(x.shape[2]):
            for j in range(x.shape[3]):
                row, column = (place / op.temperature ** (c / quarter) for place in (i, j))
                waves = (math.sin(row), math.sin(column), math.cos(row), math.cos(column))
                for part, wave in enumerate(waves):
                    y[:, part * quarter + c, i, j] += wave
    return y


@degenerate("peg", "weights 0: identity")
def silent_peg() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    op, x = PositionEncodingGenerator(dim=4, kernel=5).double(), torch.randn(2, 4, 5, 7).double()
    with torch.no_grad():
        fill(op.depthwise, 0.0, 0.0)
        return op(x), x


@degenerate("position_table", "a table linear in row and column stays linear when it is enlarged")
def linear_table() -> tuple[Tensor, Tensor]:
    """Between the centres of the outermost cells; beyond them the edge is held."""
    op, x = PositionTable(dim=1, grid=4).double(), torch.zeros(1, 1, 8, 12).double()
    with torch.no_grad():
        op.table.copy_((10.0 * torch.arange(4)[:, None] + torch.arange(4))[None])
        rows = ((torch.arange(8).double() + 0.5) / 2 - 0.5).clamp(0, 3)
        columns = ((torch.arange(12).double() + 0.5) / 3 - 0.5).clamp(0, 3)
        return op(x), (10 * rows[:, None] + columns)[None, None]


@degenerate("sincos_position", "the inner product of two places depends on their offset only")
def relative_positions() -> tuple[Tensor, Tensor]:
    op = SinCosPosition(dim=16, temperature=100)
    table = op(torch.zeros(1, 16, 6, 9).double())[0]
    products = (table[:, :-2, :-3] * table[:, 2:, 3:]).sum(0)
    return products, products[:1, :1].expand_as(products)


@degenerate("no_position", "identity")
def nothing() -> tuple[Tensor, Tensor]:
    x = torch.randn(2, 4, 5, 7)
    return NoPosition(dim=4)(x), x
