"""The re-parameterised large kernel against timm's, which has one small kernel."""

from __future__ import annotations

import torch
from torch import Tensor

from search_spaces.operators.large_kernel import LargeKernelConv
from search_spaces.references.published.packages import package_module
from search_spaces.references.registry import published


@published("large_kernel_conv", "ReparamLargeKernelConv (timm)", "timm")
def fastvit() -> tuple[Tensor, Tensor]:
    """Before and after both have merged their branches."""
    torch.manual_seed(0)
    ours = LargeKernelConv(dim=16, kernel=7, branches=1).double().eval()
    theirs = (
        package_module("timm.models.fastvit").ReparamLargeKernelConv(16, 16, 7, 1, 1, small_kernel=5).double().eval()
    )
    for mine, other in (
        (ours.large, theirs.large_conv.conv),
        (ours.large_norm, theirs.large_conv.bn),
        (ours.small[0], theirs.small_conv.conv),
        (ours.small_norm[0], theirs.small_conv.bn),
    ):
        for tensor in mine.state_dict().values():
            if tensor.is_floating_point():
                tensor.add_(0.2 * torch.rand_like(tensor))
        other.load_state_dict(mine.state_dict(), strict=False)
    x = torch.randn(2, 16, 9, 6, dtype=torch.float64)
    before = theirs(x)
    theirs.reparameterize()
    return torch.cat([ours(x), ours.merged()(x)]), torch.cat([before, theirs.double()(x)])
