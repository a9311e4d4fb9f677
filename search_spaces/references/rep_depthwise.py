"""Evidence for the re-parameterised depthwise convolution."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from search_spaces.operators.rep_depthwise import RepDepthwise
from search_spaces.references.registry import degenerate, reference
from search_spaces.references.slow import convolve_depthwise, normalise


@reference("rep_depthwise")
def rep_depthwise(op: Any, x: Tensor) -> Tensor:
    wide = normalise(convolve_depthwise(x, op.conv.weight), op.conv_norm)
    return normalise(wide + x * (1 + op.point.weight[:, 0]) + op.point.bias[:, None, None], op.norm)


@degenerate("rep_depthwise", "merged: one plain depthwise kernel")
def merged() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    op = RepDepthwise(dim=8, kernel=5).double().eval()
    for name, tensor in op.state_dict().items():
        if "norm" in name and tensor.is_floating_point():
            tensor.copy_(0.5 + torch.rand_like(tensor))
    x = torch.randn(2, 8, 9, 6, dtype=torch.float64)
    return op(x), op.merged()(x)


@degenerate("rep_depthwise", "both convolutions zero: the norm of the input")
def nothing_added() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    op = RepDepthwise(dim=8, kernel=3).double().eval()
    for parameter in (op.conv.weight, op.point.weight, op.point.bias):
        parameter.zero_()  # type: ignore[union-attr]
    x = torch.randn(2, 8, 9, 6, dtype=torch.float64)
    return op(x), x / (1 + op.norm.eps) ** 0.5
