"""The inverted bottleneck against timm's."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from search_spaces.operators.mbconv import MBConv
from search_spaces.references.published.packages import package_module
from search_spaces.references.registry import published


@published("mbconv", "InvertedResidual (timm)", "timm")
def inverted_residual() -> tuple[Tensor, Tensor]:
    """Theirs has a norm after each convolution; those around the two 1x1 are made to do nothing but add the biases."""
    blocks = package_module("timm.models._efficientnet_blocks")
    torch.manual_seed(0)
    ours = MBConv(dim=16, expansion=4, kernel=5, se=1).double().eval()
    theirs = (
        blocks.InvertedResidual(
            16,
            16,
            dw_kernel_size=5,
            exp_ratio=4.0,
            noskip=True,
            act_layer=nn.SiLU,
            se_layer=partial(blocks.SqueezeExcite),
        )
        .double()
        .eval()
    )
    theirs.conv_pw.weight.copy_(ours.expand.weight)
    theirs.bn1.running_var.fill_(1 - theirs.bn1.eps)
    theirs.bn1.bias.copy_(ours.expand.bias)
    theirs.conv_dw.weight.copy_(ours.depthwise.weight)
    theirs.bn2.load_state_dict(ours.norm.state_dict())
    theirs.se.conv_reduce.load_state_dict(ours.squeeze.state_dict())  # type: ignore[union-attr]
    theirs.se.conv_expand.load_state_dict(ours.excite.state_dict())  # type: ignore[union-attr]
    theirs.conv_pwl.weight.copy_(ours.project.weight)
    theirs.bn3.running_var.fill_(1 - theirs.bn3.eps)
    theirs.bn3.bias.copy_(ours.project.bias)
    x = torch.randn(2, 16, 9, 6, dtype=torch.float64)
    return ours(x), theirs(x)
