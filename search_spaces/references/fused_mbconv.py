"""Evidence for the dense convolutions."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from search_spaces.operators.fused_mbconv import DenseConv, FusedMBConv, GroupedMBConv
from search_spaces.operators.mbconv import MBConv
from search_spaces.references.registry import degenerate, reference
from search_spaces.references.slow import convolve, mix, normalise, squeeze_excite, swish


@reference("dense_conv")
def dense_conv(op: Any, x: Tensor) -> Tensor:
    return convolve(x, op.conv.weight, op.conv.bias, dilation=op.conv.dilation[0])


@reference("fused_mbconv")
def fused_mbconv(op: Any, x: Tensor) -> Tensor:
    x = swish(normalise(convolve(x, op.expand.weight), op.norm))
    if op.squeeze is not None:
        x = squeeze_excite(x, op.squeeze, op.excite)
    return mix(x, op.project)


@reference("grouped_mbconv")
def grouped_mbconv(op: Any, x: Tensor) -> Tensor:
    groups, side = op.groups, op.expand.weight.shape[-1]
    kernels = op.expand.weight.chunk(groups, 0)
    margins = (1, side - 2, 1, side - 2)
    parts = [convolve(x[:, g::groups], kernel, margins=margins) for g, kernel in enumerate(kernels)]
    return mix(swish(normalise(torch.cat(parts, 1), op.norm)), op.project)


@degenerate("dense_conv", "one centre tap: a pointwise map")
def dense_one_tap() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    op = DenseConv(dim=8, kernel=3, dilation=2).double()
    centre = op.conv.weight[:, :, 1:2, 1:2].clone()
    op.conv.weight.zero_()
    op.conv.weight[:, :, 1:2, 1:2] = centre
    x = torch.randn(2, 8, 9, 6, dtype=torch.float64)
    return op(x), torch.nn.functional.conv2d(x, centre, op.conv.bias)


@degenerate("fused_mbconv", "dense kernel = pointwise times depthwise: MBConv with a linear expansion")
def fused_is_mbconv() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    fused = FusedMBConv(dim=8, expansion=3, kernel=5, se=1).double().eval()
    split = MBConv(dim=8, expansion=3, kernel=5, se=1).double().eval()
    names = fused.state_dict().keys() & split.state_dict().keys() - {"expand.weight"}
    split.load_state_dict({name: fused.state_dict()[name] for name in names}, strict=False)
    fused.expand.weight.copy_(split.expand.weight * split.depthwise.weight)
    x = torch.randn(2, 8, 9, 6, dtype=torch.float64)
    split.expand.bias.zero_()  # type: ignore[union-attr]
    hidden = swish(normalise(split.depthwise(split.expand(x)), split.norm))
    return fused(x), mix(squeeze_excite(hidden, split.squeeze, split.excite), split.project)  # type: ignore[arg-type]


@degenerate("grouped_mbconv", "one group and kernel 3: the fused bottleneck")
def one_group() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    grouped = GroupedMBConv(dim=8, groups=1, expansion=2, kernel=3).double().eval()
    fused = FusedMBConv(dim=8, expansion=2, kernel=3, se=0).double().eval()
    fused.load_state_dict(grouped.state_dict())
    x = torch.randn(2, 8, 9, 6, dtype=torch.float64)
    return grouped(x), fused(x)


@degenerate("grouped_mbconv", "2x2: the 3x3 kernel without its lower and right taps")
def small_kernel() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    small = GroupedMBConv(dim=8, groups=2, expansion=2, kernel=2).double().eval()
    large = GroupedMBConv(dim=8, groups=2, expansion=2, kernel=3).double().eval()
    padded = torch.nn.functional.pad(small.expand.weight, (0, 1, 0, 1))
    large.load_state_dict({**small.state_dict(), "expand.weight": padded})
    x = torch.randn(2, 8, 9, 6, dtype=torch.float64)
    return small(x), large(x)
