"""Dilated convolutions: one after another, and side by side."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from search_spaces.operators.base import Operator
from search_spaces.operators.convolutions import depthwise, pointwise
from search_spaces.operators.legal import odd, require
from search_spaces.operators.registry import register

MOST = 6  # links or rates


@register
class DilatedChain(Operator):
    """Consecutive dilated convolutions (Zhang et al., Lite-Mono, arXiv 2211.13202): links of a depthwise convolution, 1x1 up,
    GELU, 1x1 down, each adding to what the links before it made of the input. Link i has dilation ``1 + i * growth``.

    Args:
        dim: channels in and out.
        links: 1 to 6.
        growth: of the dilation from link to link.
        kernel: odd side of the depthwise kernels.
        expansion: hidden channels over ``dim``.
    """

    name, role, family = "dilated_chain", "mixer", "conv"
    elastic = {"links": (1, 2, 3), "growth": (0, 1, 2), "kernel": (3, 5), "expansion": (1, 2)}
    layout = {
        **{f"depthwise.{i}.weight": "dim 1 kernel@centre kernel@centre" for i in range(MOST)},
        **{f"up.{i}.weight": "hidden dim 1 1" for i in range(MOST)},
        **{f"down.{i}.weight": "dim hidden 1 1" for i in range(MOST)},
        **{f"depthwise.{i}.bias": "dim" for i in range(MOST)},
        **{f"up.{i}.bias": "hidden" for i in range(MOST)},
        **{f"down.{i}.bias": "dim" for i in range(MOST)},
    }

    def __init__(self, dim: int, links: int, growth: int, kernel: int, expansion: int) -> None:
        super().__init__()
        self.depthwise = nn.ModuleList(depthwise(dim, kernel, 1 + i * growth) for i in range(links))
        self.up = nn.ModuleList(pointwise(dim, dim * expansion) for _ in range(links))
        self.down = nn.ModuleList(pointwise(dim * expansion, dim) for _ in range(links))

    def forward(self, x: Tensor) -> Tensor:
        added: Tensor | None = None  # the shell adds x itself
        for conv, up, down in zip(self.depthwise, self.up, self.down, strict=True):
            link = down(F.gelu(up(conv(x if added is None else x + added))))
            added = link if added is None else added + link
        assert added is not None
        return added

    @classmethod
    def axes(cls, **sizes: int) -> dict[str, int]:
        return {**sizes, "hidden": sizes["dim"] * sizes["expansion"]}

    @classmethod
    def check(cls, shape: tuple[int, ...], **sizes: int) -> None:
        require(1 <= sizes["links"] <= MOST, cls, "links", sizes["links"], f"1 to {MOST}")
        odd(cls, kernel=sizes["kernel"])

    @classmethod
    def work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        dim, hidden, links = sizes["dim"], sizes["dim"] * sizes["expansion"], sizes["links"]
        macs = dim * sizes["kernel"] ** 2 + 2 * dim * hidden
        return height * width * links * macs, height * width * links * (2 * dim + hidden)


@register
class AtrousPyramid(Operator):
    """Atrous spatial pyramid pooling (Chen et al., DeepLabv3, arXiv 1706.05587): the image's mean, a 1x1, and
    3x3 convolutions of growing dilation, each with ReLU, then a 1x1 over all.

    Args:
        dim: channels in and out.
        inner: channels of each part.
        rates: number of dilated convolutions, 0 to 6; number i has dilation ``1 + (i + 1) * growth``.
        growth: of the dilation from one to the next.
    """

    name, role, family, prenorm = "atrous_pyramid", "mixer", "conv", "batch"
    elastic = {"inner": (8, 16), "rates": (1, 2, 3), "growth": (1, 2, 5)}
    layout = {
        "image.weight": "inner dim 1 1",
        "image.bias": "inner",
        "point.weight": "inner dim 1 1",
        "point.bias": "inner",
        **{f"dilated.{i}.weight": "inner dim 3 3" for i in range(MOST)},
        **{f"dilated.{i}.bias": "inner" for i in range(MOST)},
        "out.weight": "dim (parts inner) 1 1",
        "out.bias": "dim",
    }

    def __init__(self, dim: int, inner: int, rates: int, growth: int) -> None:
        super().__init__()
        distances = [1 + (i + 1) * growth for i in range(rates)]
        self.image = pointwise(dim, inner)
        self.point = pointwise(dim, inner)
        self.dilated = nn.ModuleList(nn.Conv2d(dim, inner, 3, padding=d, dilation=d) for d in distances)
        self.out = pointwise((2 + rates) * inner, dim)

    def forward(self, x: Tensor) -> Tensor:
        image = self.image(x.mean((2, 3), keepdim=True)).expand(-1, -1, *x.shape[2:])
        parts = [image, self.point(x), *(conv(x) for conv in self.dilated)]
        return self.out(torch.relu(torch.cat(parts, 1)))

    @classmethod
    def axes(cls, **sizes: int) -> dict[str, int]:
        return {**sizes, "parts": 2 + sizes["rates"]}

    @classmethod
    def check(cls, shape: tuple[int, ...], **sizes: int) -> None:
        require(sizes["rates"] <= MOST, cls, "rates", sizes["rates"], f"0 to {MOST}")

    @classmethod
    def work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        tokens, dim, inner, rates = height * width, sizes["dim"], sizes["inner"], sizes["rates"]
        macs = tokens * dim * inner * (1 + 9 * rates + 2 + rates) + dim * inner
        return macs, tokens * (inner * (1 + rates) + dim) + inner
