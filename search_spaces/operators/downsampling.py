"""Down-sampling by 2 between two stages: merging, pooling, with a shortcut, and at several scales."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from search_spaces.operators.base import Operator
from search_spaces.operators.layers import ChannelNorm
from search_spaces.operators.legal import flag, odd, require
from search_spaces.operators.patches import CrossScaleConv, PatchConv, covered
from search_spaces.operators.registry import register


class _Downsample(Operator):
    """``dim_in`` channels to ``dim_out`` at half the resolution, rounded up."""

    role, family = "downsample", "conv"

    @classmethod
    def output_shape(cls, shape: tuple[int, ...], **sizes: int) -> tuple[int, ...]:
        return sizes["dim_out"], covered(shape[1], 2), covered(shape[2], 2)


@register
class PatchMerging(_Downsample):
    """Patch merging (Liu et al., Swin, arXiv 2103.14030): the four tokens of a 2x2 patch side by side, a norm over all their
    channels, and a linear map. Odd sides are padded with zeros.

    Args:
        dim_in: channels of the stage before.
        dim_out: channels of the stage after.
    """

    name = "patch_merging"
    elastic = {"dim_in": (16, 24), "dim_out": (32, 48)}
    layout = {"norm.weight": "(4 dim_in)", "norm.bias": "(4 dim_in)", "reduce.weight": "dim_out (4 dim_in)"}

    def __init__(self, dim_in: int, dim_out: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(4 * dim_in)
        self.reduce = nn.Linear(4 * dim_in, dim_out, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = F.pad(x, (0, x.shape[3] % 2, 0, x.shape[2] % 2)).permute(0, 2, 3, 1)
        corners = [x[:, i::2, j::2] for j in (0, 1) for i in (0, 1)]
        return self.reduce(self.norm(torch.cat(corners, -1))).permute(0, 3, 1, 2)

    @classmethod
    def work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        tokens = covered(height, 2) * covered(width, 2)
        return tokens * 4 * sizes["dim_in"] * sizes["dim_out"], tokens * sizes["dim_out"]


class _PooledDownsample(_Downsample):
    """Norm, pooling of stride 2, 1x1 convolution.

    Args:
        dim_in: channels of the stage before.
        dim_out: channels of the stage after.
        window: side of the pooling window, 2 or 3.
    """

    elastic = {"dim_in": (16, 24), "dim_out": (32, 48), "window": (2, 3)}
    layout = {
        "norm.weight": "dim_in",
        "norm.bias": "dim_in",
        "project.weight": "dim_out dim_in 1 1",
        "project.bias": "dim_out",
    }

    def __init__(self, dim_in: int, dim_out: int, window: int) -> None:
        super().__init__()
        self.window = window
        self.norm = ChannelNorm(dim_in)
        self.project = nn.Conv2d(dim_in, dim_out, 1)

    def pool(self, x: Tensor) -> Tensor:
        """``(B, C, H, W)`` at half the resolution, rounded up."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        return self.project(self.pool(self.norm(x)))

    @classmethod
    def check(cls, shape: tuple[int, ...], **sizes: int) -> None:
        require(sizes["window"] in (2, 3), cls, "window", sizes["window"], "2, 3")

    @classmethod
    def work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        tokens = covered(height, 2) * covered(width, 2)
        return tokens * sizes["dim_in"] * sizes["dim_out"], tokens * sizes["dim_out"]


def average_pool(x: Tensor, window: int) -> Tensor:
    """Mean over windows of 2 (or of 3 with a border) at stride 2; pixels outside the image do not count."""
    return F.avg_pool2d(x, window, 2, window // 3, ceil_mode=window == 2, count_include_pad=False)


@register
class AveragePoolDownsample(_PooledDownsample):
    """Norm, average pooling of stride 2, 1x1 convolution, as on the shortcut of ResNet-D (He et al., arXiv 1812.01187).

    Args:
        dim_in: channels of the stage before.
        dim_out: channels of the stage after.
        window: side of the pooling window: 2, or 3 with a border.
    """

    name = "average_pool_downsample"

    def pool(self, x: Tensor) -> Tensor:
        return average_pool(x, self.window)


@register
class MaxPoolDownsample(_PooledDownsample):
    """Norm, max pooling of stride 2, 1x1 convolution, as NesT's aggregation (Zhang et al., arXiv 2105.12723) with a 1x1 in
    place of its 3x3 convolution.

    Args:
        dim_in: channels of the stage before.
        dim_out: channels of the stage after.
        window: side of the pooling window: 2, or 3 with a border.
    """

    name = "max_pool_downsample"

    def pool(self, x: Tensor) -> Tensor:
        return F.max_pool2d(x, self.window, 2, self.window // 3, ceil_mode=self.window == 2)


@register
class ResidualReduction(_Downsample):
    """Residual spatial reduction (Liao et al., ViT-ResNAS, arXiv 2109.00642): norm and strided convolution, and beside them a
    shortcut of average pooling and a 1x1 convolution. Without the shortcut and with kernel 3 it is ``strided_conv``.

    Args:
        dim_in: channels of the stage before.
        dim_out: channels of the stage after.
        kernel: odd side of the convolution.
        skip: 1 for the shortcut, 0 for none.
    """

    name = "residual_reduction"
    elastic = {"dim_in": (16, 24), "dim_out": (32, 48), "kernel": (3, 5), "skip": (0, 1)}
    layout = {
        "norm.weight": "dim_in",
        "norm.bias": "dim_in",
        "conv.weight": "dim_out dim_in kernel@centre kernel@centre",
        "conv.bias": "dim_out",
        "shortcut.weight": "dim_out dim_in 1 1",
        "shortcut.bias": "dim_out",
    }

    def __init__(self, dim_in: int, dim_out: int, kernel: int, skip: int) -> None:
        super().__init__()
        self.norm = ChannelNorm(dim_in)
        self.conv = PatchConv(dim_in, dim_out, kernel, 2)
        self.shortcut = nn.Conv2d(dim_in, dim_out, 1) if skip else None

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(self.norm(x))
        return y if self.shortcut is None else y + self.shortcut(average_pool(x, 2))

    @classmethod
    def check(cls, shape: tuple[int, ...], **sizes: int) -> None:
        odd(cls, kernel=sizes["kernel"])
        flag(cls, skip=sizes["skip"])

    @classmethod
    def work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        values = covered(height, 2) * covered(width, 2) * sizes["dim_out"]
        return values * sizes["dim_in"] * (sizes["kernel"] ** 2 + sizes["skip"]), values * (1 + sizes["skip"])


@register
class CrossScaleDownsample(_Downsample):
    """Cross-scale embedding between two stages (Wang et al., CrossFormer, arXiv 2108.00154): norm, then 2x2 and 4x4 patches
    around the same places, each mapped to half of the channels.

    Args:
        dim_in: channels of the stage before.
        dim_out: channels of the stage after, even.
        scales: 2 for both kernels, 1 for 2x2 only.
    """

    name = "cross_scale_downsample"
    elastic = {"dim_in": (16, 24), "dim_out": (32, 48), "scales": (1, 2)}
    layout = {
        "norm.weight": "dim_in",
        "norm.bias": "dim_in",
        "patches.scales.0.weight": "half dim_in 2 2",
        "patches.scales.0.bias": "half",
        "patches.scales.1.weight": "half dim_in larger@centre larger@centre",
        "patches.scales.1.bias": "half",
    }

    def __init__(self, dim_in: int, dim_out: int, scales: int) -> None:
        super().__init__()
        self.norm = ChannelNorm(dim_in)
        self.patches = CrossScaleConv(dim_in, dim_out, (2, 2 * scales), (1, 1), 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.patches(self.norm(x))

    @classmethod
    def axes(cls, **sizes: int) -> dict[str, int]:
        return {**sizes, "half": sizes["dim_out"] // 2, "larger": 2 * sizes["scales"]}

    @classmethod
    def check(cls, shape: tuple[int, ...], **sizes: int) -> None:
        require(sizes["scales"] in (1, 2), cls, "scales", sizes["scales"], "1, 2")
        require(sizes["dim_out"] % 2 == 0, cls, "dim_out", sizes["dim_out"], "even numbers")

    @classmethod
    def work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        values = covered(height, 2) * covered(width, 2) * sizes["dim_out"]
        return values * sizes["dim_in"] * (2 + 2 * sizes["scales"] ** 2), values
