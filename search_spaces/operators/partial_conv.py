"""Convolution of some channels while the others pass: dense, or in three shapes."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from search_spaces.errors import SpaceError
from search_spaces.operators.base import Operator
from search_spaces.operators.convolutions import depthwise
from search_spaces.operators.legal import odd, require
from search_spaces.operators.registry import register


@register
class PartialConv(Operator):
    """Partial convolution (Chen et al., FasterNet, arXiv 2303.03667): a dense convolution of the first channels.

    Args:
        dim: channels in and out.
        part: channels that are convolved, at most ``dim``.
        kernel: odd side of the kernel.
    """

    name, role, family = "partial_conv", "mixer", "conv"
    elastic = {"part": (4, 8, 16), "kernel": (3, 5)}
    layout = {"conv.weight": "part part kernel@centre kernel@centre", "conv.bias": "part"}

    def __init__(self, dim: int, part: int, kernel: int) -> None:
        super().__init__()
        self.part = part
        self.conv = nn.Conv2d(part, part, kernel, padding=kernel // 2)

    def forward(self, x: Tensor) -> Tensor:
        mixed = self.conv(x[:, : self.part])
        return torch.cat([mixed, x[:, self.part :]], 1) if self.part < x.shape[1] else mixed

    @classmethod
    def check(cls, shape: tuple[int, ...], **sizes: int) -> None:
        require(1 <= sizes["part"] <= sizes["dim"], cls, "part", sizes["part"], f"1 to dim {sizes['dim']}")
        odd(cls, kernel=sizes["kernel"])

    @classmethod
    def work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        written = height * width * sizes["part"]
        return written * sizes["part"] * sizes["kernel"] ** 2, written


@register
class InceptionConv(Operator):
    """Inception depthwise convolution (Yu et al., InceptionNeXt, arXiv 2303.16900): a small square kernel, a row and a column
    in place of one large kernel, on a part of the channels each; the others pass.

    Of the first ``3 * part`` channels, channel c has the square, the row or the column for c mod 3 = 0, 1, 2, so that a
    larger part adds channels without giving any a new shape.

    Args:
        dim: channels in and out.
        part: channels of each shape, at most a third of ``dim``.
        kernel: odd side of the square kernel.
        band: odd length of row and column.
    """

    name, role, family = "inception_conv", "mixer", "conv"
    elastic = {"part": (2, 4), "kernel": (3, 5), "band": (7, 9, 11)}
    layout = {
        "square.weight": "part 1 kernel@centre kernel@centre",
        "square.bias": "part",
        "row.weight": "part 1 1 band@centre",
        "row.bias": "part",
        "column.weight": "part 1 band@centre 1",
        "column.bias": "part",
    }

    def __init__(self, dim: int, part: int, kernel: int, band: int) -> None:
        super().__init__()
        self.part = part
        self.square = depthwise(part, kernel)
        self.row = nn.Conv2d(part, part, (1, band), padding=(0, band // 2), groups=part)
        self.column = nn.Conv2d(part, part, (band, 1), padding=(band // 2, 0), groups=part)

    def forward(self, x: Tensor) -> Tensor:
        end = 3 * self.part
        shapes = (self.square, self.row, self.column)
        mixed = torch.stack([conv(x[:, i:end:3]) for i, conv in enumerate(shapes)], 2).flatten(1, 2)
        return torch.cat([mixed, x[:, end:]], 1) if end < x.shape[1] else mixed

    @classmethod
    def check(cls, shape: tuple[int, ...], **sizes: int) -> None:
        if not 1 <= sizes["part"] <= sizes["dim"] // 3:
            most = sizes["dim"] // 3
            raise SpaceError(f"operator {cls.name!r}: part: got {sizes['part']}; legal: 1 to {most}, a third of dim")
        odd(cls, kernel=sizes["kernel"], band=sizes["band"])

    @classmethod
    def work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        written = height * width * sizes["part"]
        return written * (sizes["kernel"] ** 2 + 2 * sizes["band"]), 3 * written
