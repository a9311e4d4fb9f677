"""Convolutions of some channels against timm's FasterNet and InceptionNeXt."""

from __future__ import annotations

import torch
from torch import Tensor

from search_spaces.operators.partial_conv import InceptionConv, PartialConv
from search_spaces.references.published.packages import package_module
from search_spaces.references.registry import published


@published("partial_conv", "Partial_conv3 (timm, FasterNet)", "timm")
def fasternet() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    ours = PartialConv(dim=16, part=4, kernel=3).double()
    theirs = package_module("timm.models.fasternet").Partial_conv3(16, 4, "split_cat").double()
    theirs.partial_conv3.weight.copy_(ours.conv.weight)
    ours.conv.bias.zero_()  # type: ignore[union-attr]
    x = torch.randn(2, 16, 9, 6, dtype=torch.float64)
    return ours(x), theirs(x)


@published("inception_conv", "InceptionDWConv2d (timm, InceptionNeXt)", "timm")
def inception_next() -> tuple[Tensor, Tensor]:
    """Theirs has the passing channels first, then one shape after another."""
    torch.manual_seed(0)
    ours = InceptionConv(dim=16, part=2, kernel=3, band=11).double()
    theirs = package_module("timm.models.inception_next").InceptionDWConv2d(16).double()
    theirs.dwconv_hw.load_state_dict(ours.square.state_dict())
    theirs.dwconv_w.load_state_dict(ours.row.state_dict())
    theirs.dwconv_h.load_state_dict(ours.column.state_dict())
    order = [*range(6, 16), 0, 3, 1, 4, 2, 5]
    x = torch.randn(2, 16, 9, 6, dtype=torch.float64)
    return ours(x)[:, order], theirs(x[:, order])
