"""Multi-axis gated MLP against timm's gMLP."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from search_spaces.operators.multi_axis_gmlp import MultiAxisGMLP
from search_spaces.references.published.packages import package_module
from search_spaces.references.registry import published


@published("multi_axis_gmlp", "SpatialGatingUnit (timm) on an image of one block", "timm")
def spatial_gating_unit() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    op = MultiAxisGMLP(dim=6, expansion=2, block=5, branches=1).double()
    theirs = package_module("timm.models.mlp_mixer").SpatialGatingUnit(24, 25).double()
    x = torch.randn(2, 6, 5, 5).double()
    with torch.no_grad():
        op.gate_weight.normal_()
        theirs.norm.weight.copy_(op.norm_weight[0].normal_())
        theirs.proj.weight.copy_(op.gate_weight[0])
        theirs.proj.bias.copy_(op.gate_bias[0].normal_())
        gated = theirs(F.gelu(op.up(x.flatten(2).transpose(1, 2))))
        return op(x), op.down(gated).transpose(1, 2).reshape(x.shape)
