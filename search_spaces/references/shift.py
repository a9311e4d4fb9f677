"""Evidence for the spatial shift."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from search_spaces.operators.shift import SpatialShift
from search_spaces.references.registry import degenerate, reference
from search_spaces.references.slow import convolve_depthwise


@reference("spatial_shift")
def spatial_shift(op: Any, x: Tensor) -> Tensor:
    """Pixel by pixel: where each value comes from, zero beyond the border."""
    channels, height, width = x.shape[1:]
    y = torch.zeros_like(x)
    far = op.distance
    moves = {0: (far, 0), 1: (-far, 0), 2: (0, far), 3: (0, -far)}
    for c in range(channels):
        down, right = moves.get(c % op.period, (0, 0))
        for i in range(height):
            for j in range(width):
                if 0 <= i + down < height and 0 <= j + right < width:
                    y[:, c, i, j] = x[:, c, i + down, j + right]
    return y


@degenerate("spatial_shift", "distance 0: the identity")
def no_distance() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    x = torch.randn(2, 8, 9, 6, dtype=torch.float64)
    return SpatialShift(dim=8, period=4, distance=0)(x), x


@degenerate("spatial_shift", "distance 1: a depthwise 3x3 convolution with one tap a channel")
def one_tap() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    x = torch.randn(2, 8, 9, 6, dtype=torch.float64)
    weight = torch.zeros(8, 1, 3, 3, dtype=torch.float64)
    for channel, (row, column) in enumerate([(2, 1), (0, 1), (1, 2), (1, 0), (1, 1), (1, 1), (1, 1), (1, 1)]):
        weight[channel, 0, row, column] = 1
    return SpatialShift(dim=8, period=8, distance=1)(x), convolve_depthwise(x, weight)
