"""Evidence for the gated short convolution."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from search_spaces.operators.short_conv import ShortConv
from search_spaces.references.registry import degenerate, reference
from search_spaces.references.slow import convolve_depthwise, mix


@reference("short_conv")
def short_conv(op: Any, x: Tensor) -> Tensor:
    inner = op.out.in_channels
    every = mix(x, op.gates)
    b, c, v = every[:, :inner], every[:, inner : 2 * inner], every[:, 2 * inner :]
    return mix(c * convolve_depthwise(b * v, op.depthwise.weight), op.out)


@degenerate("short_conv", "both gates one: pointwise, depthwise, pointwise, a linear map")
def open_gates() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    op = ShortConv(dim=8, expansion=2, kernel=5).double()
    op.gates.weight[:32] = 0
    op.gates.bias[:32] = 1  # type: ignore[index]
    x = torch.randn(2, 8, 9, 6, dtype=torch.float64)
    values = torch.nn.functional.conv2d(x, op.gates.weight[32:], op.gates.bias[32:])  # type: ignore[index]
    return op(x), mix(convolve_depthwise(values, op.depthwise.weight), op.out)
