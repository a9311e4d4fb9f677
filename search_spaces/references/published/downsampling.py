"""Down-sampling against timm's."""

from __future__ import annotations

import torch
from torch import Tensor

from search_spaces.operators.downsampling import AveragePoolDownsample, PatchMerging
from search_spaces.references.mlp import fill
from search_spaces.references.published.packages import package_module
from search_spaces.references.registry import published


@published("patch_merging", "PatchMerging of Swin (timm), odd sides", "timm")
def swin_merging() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    theirs = package_module("timm.models.swin_transformer").PatchMerging(4, 6).double()
    op, x = PatchMerging(dim_in=4, dim_out=6).double(), torch.randn(2, 4, 9, 7).double()
    with torch.no_grad():
        fill(theirs.norm, op.norm.weight.normal_(), op.norm.bias.normal_())
        theirs.reduction.weight.copy_(op.reduce.weight)
        return op(x), theirs(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


@published("average_pool_downsample", "downsample_avg of ResNet-D (timm), its norm left out, on a normed image", "timm")
def resnet_shortcut() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    op, x = AveragePoolDownsample(dim_in=4, dim_out=6, window=2).double(), torch.randn(2, 4, 9, 7).double()
    theirs = (
        package_module("timm.models.resnet").downsample_avg(4, 6, 1, stride=2, norm_layer=torch.nn.Identity).double()
    )
    with torch.no_grad():
        fill(op.project, theirs[1].weight, 0.0)
        return op(x), theirs(op.norm(x))
