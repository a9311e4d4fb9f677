"""Evidence for the ConvNeXt-like block."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from search_spaces.operators.convnext import ConvNeXt
from search_spaces.references.registry import degenerate, reference
from search_spaces.references.slow import convolve_depthwise, gelu, mix


@reference("convnext")
def convnext(op: Any, x: Tensor) -> Tensor:
    return mix(gelu(mix(convolve_depthwise(x, op.depthwise.weight, op.depthwise.bias), op.up)), op.down)


@degenerate("convnext", "depthwise kernel of one centre tap: the two-layer channel map")
def convnext_one_tap() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    op = ConvNeXt(dim=8, expansion=2, kernel=7).double()
    op.depthwise.weight.zero_()
    op.depthwise.weight[:, :, 3, 3] = 1
    op.depthwise.bias.zero_()  # type: ignore[union-attr]
    x = torch.randn(2, 8, 9, 6, dtype=torch.float64)
    hidden = mix(x, op.up)
    return op(x), mix(hidden * torch.distributions.Normal(0.0, 1.0).cdf(hidden), op.down)
