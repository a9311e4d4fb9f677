"""Position operators against timm's."""

from __future__ import annotations

import torch
from torch import Tensor

from search_spaces.operators.positions import PositionEncodingGenerator, PositionTable, SinCosPosition
from search_spaces.references.mlp import fill
from search_spaces.references.published.packages import package_module
from search_spaces.references.registry import published


@published("peg", "PosConv of Twins (timm)", "timm")
def twins() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    theirs = package_module("timm.models.twins").PosConv(6, 6).double()
    op, x = PositionEncodingGenerator(dim=6, kernel=3).double(), torch.randn(2, 6, 5, 7).double()
    fill(theirs.proj[0], op.depthwise.weight, op.depthwise.bias)
    with torch.no_grad():
        return op(x), theirs(x.flatten(2).transpose(1, 2), (5, 7)).transpose(1, 2).reshape(x.shape)


@published("sincos_position", "build_sincos2d_pos_embed (timm; float32)", "timm")
def timm_sincos() -> tuple[Tensor, Tensor]:
    table = package_module("timm.layers").build_sincos2d_pos_embed([5, 7], dim=16, dtype=torch.float64)
    op = SinCosPosition(dim=16, temperature=10000)
    return op(torch.zeros(1, 16, 5, 7).double()), table.T.reshape(1, 16, 5, 7)


@published("position_table", "resample_abs_pos_embed, bilinear, enlarged (timm; float32)", "timm")
def timm_table() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    op = PositionTable(dim=6, grid=5).double()
    resample = package_module("timm.layers").resample_abs_pos_embed
    with torch.no_grad():
        tokens = op.table.flatten(1).T[None]
        theirs = resample(tokens, [7, 9], num_prefix_tokens=0, interpolation="bilinear", antialias=False)
        return op(torch.zeros(1, 6, 7, 9).double()), theirs.transpose(1, 2).reshape(1, 6, 7, 9)
