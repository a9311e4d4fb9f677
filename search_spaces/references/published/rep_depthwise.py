"""The re-parameterised depthwise convolution against timm's RepViT."""

from __future__ import annotations

import torch
from torch import Tensor

from search_spaces.operators.rep_depthwise import RepDepthwise
from search_spaces.references.published.packages import package_module
from search_spaces.references.registry import published


@published("rep_depthwise", "RepVggDw (timm, RepViT)", "timm")
def repvit() -> tuple[Tensor, Tensor]:
    """Before and after both have merged their branches."""
    torch.manual_seed(0)
    ours = RepDepthwise(dim=16, kernel=3).double().eval()
    for tensor in ours.state_dict().values():
        if tensor.is_floating_point():
            tensor.add_(0.2 * torch.rand_like(tensor))
    theirs = package_module("timm.models.repvit").RepVggDw(16, 3).double().eval()
    theirs.conv.c.load_state_dict(ours.conv.state_dict())
    theirs.conv.bn.load_state_dict(ours.conv_norm.state_dict())
    theirs.conv1.load_state_dict(ours.point.state_dict())
    theirs.bn.load_state_dict(ours.norm.state_dict())
    x = torch.randn(2, 16, 9, 6, dtype=torch.float64)
    before = theirs(x)
    return torch.cat([ours(x), ours.merged()(x)]), torch.cat([before, theirs.fuse().double()(x)])
