"""Stem, down-sampling and head against transformers' and timm's."""

from __future__ import annotations

import torch
from torch import Tensor

from search_spaces.operators.frame import ConvStem, PooledHead, StridedConv
from search_spaces.references.mlp import fill
from search_spaces.references.published.packages import package_module
from search_spaces.references.registry import published


@published("conv_stem", "OverlapPatchEmbed, patch 3, stride 2, of PVTv2 (timm)", "timm")
def pvt_embedding() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    op, x = ConvStem(channels=3, dim=8, stride=2).double(), torch.randn(2, 3, 9, 6).double()
    theirs = package_module("timm.models.pvt_v2").OverlapPatchEmbed(3, 2, 3, 8).double()
    fill(theirs.proj, op.first.weight, op.first.bias)
    with torch.no_grad():
        return op(x), theirs(x).permute(0, 3, 1, 2)


@published("strided_conv", "Downsampling with a norm before (timm.models.metaformer)", "timm")
def metaformer_downsampling() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    package, norm = package_module("timm.models.metaformer"), package_module("timm.layers").LayerNorm2d
    theirs = package.Downsampling(4, 8, kernel_size=3, stride=2, padding=1, norm_layer=norm).double()
    op, x = StridedConv(dim_in=4, dim_out=8).double(), torch.randn(2, 4, 9, 6).double()
    fill(theirs.norm, op.norm.weight, op.norm.bias)
    fill(theirs.conv, op.conv.weight, op.conv.bias)
    theirs.norm.eps = op.norm.eps
    with torch.no_grad():
        return op(x), theirs(x)


@published("pooled_head", "NormMlpClassifierHead without a hidden layer (timm)", "timm")
def timm_head() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    op, x = PooledHead(dim=8, classes=5).double(), torch.randn(2, 8, 4, 3).double()
    theirs = package_module("timm.layers").NormMlpClassifierHead(8, 5).double()
    fill(theirs.fc, op.classify.weight, op.classify.bias)
    theirs.norm.eps = op.norm.eps
    with torch.no_grad():
        return op(x), theirs(x)
