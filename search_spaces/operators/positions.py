"""Position operators: what tells a token where it is. They keep the shape and bring their own shortcut."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from search_spaces.operators.base import Operator
from search_spaces.operators.legal import odd, positive, require
from search_spaces.operators.registry import register
from search_spaces.operators.transforms import constant, resize_table, resize_table_work, sides


@register
class NoPosition(Operator):
    """Passes its input on: convolutions and padding tell positions well enough (Wu et al., CvT, arXiv 2103.15808).

    Args:
        dim: channels in and out.
    """

    name, role = "no_position", "position"

    def __init__(self, dim: int) -> None:
        super().__init__()

    def forward(self, x: Tensor) -> Tensor:
        return x

    @classmethod
    def work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        return 0, 0


@register
class PositionEncodingGenerator(Operator):
    """PEG (Chu et al., CPVT, arXiv 2102.10882): a depthwise convolution added to its input. Its zero padding tells how far the
    border is, at any resolution.

    Args:
        dim: channels in and out.
        kernel: odd side of the depthwise kernel.
    """

    name, role, family = "peg", "position", "conv"
    elastic = {"kernel": (3, 5, 7)}
    layout = {"depthwise.weight": "dim 1 kernel@centre kernel@centre", "depthwise.bias": "dim"}

    def __init__(self, dim: int, kernel: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(dim, dim, kernel, padding=kernel // 2, groups=dim)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.depthwise(x)

    @classmethod
    def check(cls, shape: tuple[int, ...], **sizes: int) -> None:
        odd(cls, kernel=sizes["kernel"])

    @classmethod
    def work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        values = height * width * sizes["dim"]
        return values * sizes["kernel"] ** 2, values


@register
class PositionTable(Operator):
    """A learned vector for every place of a ``grid`` x ``grid`` image (Dosovitskiy et al., ViT, arXiv 2010.11929), interpolated
    bilinearly to other resolutions.

    Args:
        dim: channels in and out.
        grid: side of the table.
    """

    name, role = "position_table", "position"
    elastic = {"grid": (8,)}
    layout = {"table": "dim grid grid"}

    def __init__(self, dim: int, grid: int) -> None:
        super().__init__()
        self.table = nn.Parameter(0.02 * torch.randn(dim, grid, grid))

    def forward(self, x: Tensor) -> Tensor:
        return x + resize_table(self.table, *sides(x))

    @classmethod
    def check(cls, shape: tuple[int, ...], **sizes: int) -> None:
        positive(cls, grid=sizes["grid"])

    @classmethod
    def work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        macs, writes = resize_table_work(sizes["grid"], height, width)
        return sizes["dim"] * macs, sizes["dim"] * writes


@register
class SinCosPosition(Operator):
    """Sines and cosines of the row and of the column at geometrically falling frequencies (Vaswani et al., arXiv 1706.03762;
    in two dimensions Chen et al., MoCo v3, arXiv 2104.02057). No parameters. A quarter of the channels each: sine of the
    row, sine of the column, cosine of the row, cosine of the column.

    Args:
        dim: channels in and out, a multiple of 4.
        temperature: the slowest wave is nearly this many times slower than the fastest.
    """

    name, role = "sincos_position", "position"
    elastic = {"temperature": (100, 10000)}

    def __init__(self, dim: int, temperature: int) -> None:
        super().__init__()
        self.dim, self.temperature = dim, temperature

    def forward(self, x: Tensor) -> Tensor:
        rates = float(self.temperature) ** (-np.arange(self.dim // 4) / (self.dim // 4))
        waves = [np.outer(rates, np.arange(side)) for side in sides(x)]
        shapes = [waves[0][:, :, None], waves[1][:, None, :]]
        full = (self.dim // 4, *sides(x))
        table = np.concatenate([np.broadcast_to(f(angle), full) for f in (np.sin, np.cos) for angle in shapes])
        return x + constant(table, x)

    @classmethod
    def check(cls, shape: tuple[int, ...], **sizes: int) -> None:
        require(sizes["dim"] % 4 == 0, cls, "dim", sizes["dim"], "multiples of 4")
        positive(cls, temperature=sizes["temperature"])

    @classmethod
    def work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        return 0, 0
