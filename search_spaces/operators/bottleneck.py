"""ResNet's bottleneck: within a stage, and between two."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from search_spaces.operators.base import Operator
from search_spaces.operators.convolutions import pointwise
from search_spaces.operators.frame import halved
from search_spaces.operators.legal import odd, require
from search_spaces.operators.registry import register

_NORM = ("weight", "bias", "running_mean", "running_var")


@register
class Bottleneck(Operator):
    """1x1 down, dense convolution, 1x1 up, batch norm and ReLU after the first two (He et al., ResNet, arXiv 1512.03385), in
    the pre-norm form of its second version (arXiv 1603.05027): the shell's batch norm stands before the block.

    Args:
        dim: channels in and out.
        inner: channels of the dense convolution.
        kernel: odd side of its kernel.
    """

    name, role, family, prenorm = "bottleneck", "mixer", "conv", "batch"
    mixes_channels = True
    elastic = {"inner": (8, 16), "kernel": (3, 5)}
    layout = {
        "down.weight": "inner dim 1 1",
        **{f"down_norm.{part}": "inner" for part in _NORM},
        "conv.weight": "inner inner kernel@centre kernel@centre",
        **{f"conv_norm.{part}": "inner" for part in _NORM},
        "up.weight": "dim inner 1 1",
        "up.bias": "dim",
    }

    def __init__(self, dim: int, inner: int, kernel: int) -> None:
        super().__init__()
        self.down = pointwise(dim, inner, bias=False)
        self.down_norm = nn.BatchNorm2d(inner)
        self.conv = nn.Conv2d(inner, inner, kernel, padding=kernel // 2, bias=False)
        self.conv_norm = nn.BatchNorm2d(inner)
        self.up = pointwise(inner, dim)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.down_norm(self.down(x)))
        return self.up(F.relu(self.conv_norm(self.conv(x))))

    @classmethod
    def check(cls, shape: tuple[int, ...], **sizes: int) -> None:
        odd(cls, kernel=sizes["kernel"])

    @classmethod
    def work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        tokens, dim, inner = height * width, sizes["dim"], sizes["inner"]
        return tokens * inner * (2 * dim + inner * sizes["kernel"] ** 2), tokens * (2 * inner + dim)


@register
class BottleneckReduction(Operator):
    """The bottleneck with a projected shortcut, which changes the width and may halve the image (He et al., ResNet, arXiv
    1512.03385; the stride on the 3x3): a batch norm after every convolution, ReLU after the first two and after the sum.

    Args:
        dim_in: channels in.
        dim_out: channels out.
        inner: channels of the 3x3 convolution.
        stride: 1 or 2.
    """

    name, role, family = "bottleneck_reduction", "downsample", "conv"
    elastic = {"dim_in": (8, 16), "dim_out": (16, 24), "inner": (4, 8), "stride": (1, 2)}
    layout = {
        "down.weight": "inner dim_in 1 1",
        **{f"down_norm.{part}": "inner" for part in _NORM},
        "conv.weight": "inner inner 3 3",
        **{f"conv_norm.{part}": "inner" for part in _NORM},
        "up.weight": "dim_out inner 1 1",
        **{f"up_norm.{part}": "dim_out" for part in _NORM},
        "skip.weight": "dim_out dim_in 1 1",
        **{f"skip_norm.{part}": "dim_out" for part in _NORM},
    }

    def __init__(self, dim_in: int, dim_out: int, inner: int, stride: int) -> None:
        super().__init__()
        self.down = pointwise(dim_in, inner, bias=False)
        self.down_norm = nn.BatchNorm2d(inner)
        self.conv = nn.Conv2d(inner, inner, 3, stride=stride, padding=1, bias=False)
        self.conv_norm = nn.BatchNorm2d(inner)
        self.up = pointwise(inner, dim_out, bias=False)
        self.up_norm = nn.BatchNorm2d(dim_out)
        self.skip = nn.Conv2d(dim_in, dim_out, 1, stride=stride, bias=False)
        self.skip_norm = nn.BatchNorm2d(dim_out)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.down_norm(self.down(x)))
        y = F.relu(self.conv_norm(self.conv(y)))
        return F.relu(self.up_norm(self.up(y)) + self.skip_norm(self.skip(x)))

    @classmethod
    def check(cls, shape: tuple[int, ...], **sizes: int) -> None:
        require(sizes["stride"] in (1, 2), cls, "stride", sizes["stride"], "1, 2")

    @classmethod
    def output_shape(cls, shape: tuple[int, ...], **sizes: int) -> tuple[int, ...]:
        _, height, width = shape
        out = (height, width) if sizes["stride"] == 1 else (halved(height), halved(width))
        return sizes["dim_out"], *out

    @classmethod
    def work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        dim_in, dim_out, inner = sizes["dim_in"], sizes["dim_out"], sizes["inner"]
        _, out_height, out_width = cls.output_shape((dim_in, height, width), **sizes)
        tokens, after = height * width, out_height * out_width
        macs = tokens * dim_in * inner + after * (9 * inner**2 + inner * dim_out + dim_in * dim_out)
        return macs, tokens * inner + after * (inner + 2 * dim_out)
