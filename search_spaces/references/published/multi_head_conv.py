"""The multi-head convolution against timm's Next-ViT."""

from __future__ import annotations

import torch
from torch import Tensor

from search_spaces.operators.multi_head_conv import MultiHeadConv
from search_spaces.references.published.packages import package_module
from search_spaces.references.registry import published


@published("multi_head_conv", "ConvAttention (timm, Next-ViT)", "timm")
def next_vit() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    ours = MultiHeadConv(dim=32, head_dim=8, expansion=1, kernel=3).double().eval()
    theirs = package_module("timm.models.nextvit").ConvAttention(32, 8).double().eval()
    theirs.group_conv3x3.load_state_dict(ours.heads.state_dict())
    theirs.norm.load_state_dict(ours.norm.state_dict())
    theirs.projection.weight.copy_(ours.project.weight)
    ours.project.bias.zero_()  # type: ignore[union-attr]
    x = torch.randn(2, 32, 9, 6, dtype=torch.float64)
    return ours(x), theirs(x)
