"""EfficientViM's mixer against timm's."""

from __future__ import annotations

import torch
from torch import Tensor

from search_spaces.operators.hsm_ssd import HiddenStateMixer
from search_spaces.references.published.packages import package_module
from search_spaces.references.registry import published


@published("hsm_ssd", "efficientvim.HSMSSD (timm)", "timm")
def efficientvim() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    theirs = package_module("timm.models.efficientvim").HSMSSD(8, ssd_expand=2.0, state_dim=5).double()
    op = HiddenStateMixer(dim=8, expansion=2, state=5).double()
    op.rate.data.add_(torch.randn(5))
    theirs.BCdt_proj.conv.weight.data = op.maps.weight.data.unsqueeze(-1)
    theirs.dw.conv.weight.data = op.maps_conv.weight.data
    theirs.hz_proj.conv.weight.data = op.values_gate.weight.data.unsqueeze(-1)
    theirs.out_proj.conv.weight.data = op.out.weight.data.unsqueeze(-1)
    theirs.A.data, theirs.D.data = op.rate.data, op.skip.data
    x = torch.randn(2, 8, 9, 6).double()
    return op(x), theirs(x)[0]
