"""The fused inverted bottlenecks against timm's."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from search_spaces.operators.fused_mbconv import FusedMBConv, GroupedMBConv
from search_spaces.references.published.packages import package_module
from search_spaces.references.registry import published


@published("fused_mbconv", "EdgeResidual (timm)", "timm")
def edge_residual() -> tuple[Tensor, Tensor]:
    blocks = package_module("timm.models._efficientnet_blocks")
    torch.manual_seed(0)
    ours = FusedMBConv(dim=16, expansion=2, kernel=3, se=1).double().eval()
    squeeze = partial(blocks.SqueezeExcite)
    theirs = (
        blocks.EdgeResidual(16, 16, 3, exp_ratio=2.0, noskip=True, act_layer=nn.SiLU, se_layer=squeeze).double().eval()
    )
    theirs.conv_exp.load_state_dict(ours.expand.state_dict())
    theirs.bn1.load_state_dict(ours.norm.state_dict())
    theirs.se.conv_reduce.load_state_dict(ours.squeeze.state_dict())  # type: ignore[union-attr]
    theirs.se.conv_expand.load_state_dict(ours.excite.state_dict())  # type: ignore[union-attr]
    theirs.conv_pwl.weight.copy_(ours.project.weight)
    theirs.bn2.running_var.fill_(1 - theirs.bn2.eps)
    theirs.bn2.bias.copy_(ours.project.bias)
    x = torch.randn(2, 16, 9, 6, dtype=torch.float64)
    return ours(x), theirs(x)


@published("grouped_mbconv", "FusedMBConv (timm, CPUBone)", "timm")
def cpubone() -> tuple[Tensor, Tensor]:
    """Their groups are halves of the channels, ours even and odd ones: the input is put in their order."""
    torch.manual_seed(0)
    ours = GroupedMBConv(dim=16, groups=2, expansion=4, kernel=2).double().eval()
    theirs = package_module("timm.models.cpubone").FusedMBConv(
        16,
        16,
        kernel_size=2,
        expand_ratio=4,
        expand_groups=2,
        use_bias=(False, True),
        norm_layer=(nn.BatchNorm2d, None),
        act_layer=(nn.SiLU, None),
    )
    theirs = theirs.double().eval()
    theirs.spatial_conv.conv[1].load_state_dict(ours.expand.state_dict())
    theirs.spatial_conv.norm.load_state_dict(ours.norm.state_dict())
    theirs.point_conv.conv.load_state_dict(ours.project.state_dict())
    x = torch.randn(2, 16, 9, 6, dtype=torch.float64)
    return ours(x), theirs(torch.cat([x[:, 0::2], x[:, 1::2]], 1))
