"""Evidence for pooling."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from search_spaces.operators.pool import AveragePool, MaxPool
from search_spaces.references.registry import degenerate, reference


def _neighbourhoods(x: Tensor, kernel: int) -> list[list[Tensor]]:
    """For every pixel, row by row, its neighbourhood inside the image, ``(B, C, n)``."""
    height, width = x.shape[2:]
    reach = kernel // 2
    return [
        [x[:, :, max(i - reach, 0) : i + reach + 1, max(j - reach, 0) : j + reach + 1].flatten(2) for j in range(width)]
        for i in range(height)
    ]


@reference("average_pool")
def average_pool(op: Any, x: Tensor) -> Tensor:
    rows = [torch.stack([near.mean(2) for near in row], 2) for row in _neighbourhoods(x, op.kernel)]
    return torch.stack(rows, 2) - x


@reference("max_pool")
def max_pool(op: Any, x: Tensor) -> Tensor:
    rows = [torch.stack([near.amax(2) for near in row], 2) for row in _neighbourhoods(x, op.kernel)]
    return torch.stack(rows, 2)


@degenerate("average_pool", "a constant image: zero")
def constant_image() -> tuple[Tensor, Tensor]:
    x = torch.full((1, 4, 9, 6), 2.0, dtype=torch.float64)
    return 1 + AveragePool(dim=4, kernel=5)(x), torch.ones_like(x)


@degenerate("average_pool", "neighbourhood = image: the global mean less the token")
def whole_image() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    x = torch.randn(2, 4, 5, 6, dtype=torch.float64)
    return AveragePool(dim=4, kernel=13)(x), x.mean((2, 3), keepdim=True) - x


@degenerate("max_pool", "neighbourhood = image: the global maximum")
def whole_maximum() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    x = torch.randn(2, 4, 5, 6, dtype=torch.float64)
    return MaxPool(dim=4, kernel=13)(x), x.amax((2, 3), keepdim=True).expand_as(x)


@degenerate("max_pool", "neighbourhood of one: the identity")
def own_pixel() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    x = torch.randn(2, 4, 9, 6, dtype=torch.float64)
    return MaxPool(dim=4, kernel=1)(x), x
