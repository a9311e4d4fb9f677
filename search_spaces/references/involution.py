"""Evidence for involution."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from search_spaces.operators.involution import Involution
from search_spaces.references.registry import degenerate, reference
from search_spaces.references.slow import convolve_depthwise, mix


@reference("involution")
def involution(op: Any, x: Tensor) -> Tensor:
    """Every neighbourhood unfolded, and multiplied with the kernel of its pixel, channel by channel."""
    side, groups = op.kernel, op.groups
    kernels = mix(mix(x, op.squeeze).clamp(min=0), op.kernels).flatten(2).unflatten(1, (side * side, groups))
    patches = F.unfold(x, side, padding=side // 2).unflatten(1, (x.shape[1], side * side))
    channels = [(patches[:, c] * kernels[:, :, c % groups]).sum(1) for c in range(x.shape[1])]
    return torch.stack(channels, 1).view_as(x)


@degenerate("involution", "kernels that do not depend on the pixel: a depthwise convolution shared by the group")
def fixed_kernels() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    op = Involution(dim=8, inner=4, groups=2, kernel=5).double()
    op.kernels.weight.zero_()
    assert op.kernels.bias is not None
    shared = op.kernels.bias.view(5, 5, 2).permute(2, 0, 1)[:, None]
    x = torch.randn(2, 8, 9, 6, dtype=torch.float64)
    return op(x), convolve_depthwise(x, shared.repeat(4, 1, 1, 1))
