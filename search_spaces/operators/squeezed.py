"""Inverted bottlenecks whose squeeze-excite has a width of its own, as EfficientNet counts it."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from search_spaces.operators.convolutions import pointwise
from search_spaces.operators.inverted_residual import InvertedResidual
from search_spaces.operators.legal import positive
from search_spaces.operators.mbconv import MBConv
from search_spaces.operators.registry import register

_SQUEEZE = {
    "squeeze.weight": "squeeze hidden 1 1",
    "squeeze.bias": "squeeze",
    "excite.weight": "hidden squeeze 1 1",
    "excite.bias": "hidden",
}


@register
class SqueezedMBConv(MBConv):
    """MBConv with squeeze-excite through ``squeeze`` channels: EfficientNet (Tan & Le, arXiv 1905.11946) has a quarter of the
    block's input, not of its hidden channels. Otherwise as `MBConv`.

    Args:
        dim: channels in and out.
        expansion: hidden channels over ``dim``.
        kernel: odd side of the depthwise kernel.
        squeeze: channels between squeeze and excite.
    """

    name = "squeezed_mbconv"
    elastic = {"expansion": (2, 4, 6), "kernel": (3, 5, 7), "squeeze": (4, 8)}
    layout = {**MBConv.layout, **_SQUEEZE}

    def __init__(self, dim: int, expansion: int, kernel: int, squeeze: int) -> None:
        super().__init__(dim, expansion, kernel, 0)
        self.squeeze = pointwise(dim * expansion, squeeze)
        self.excite = pointwise(squeeze, dim * expansion)

    @classmethod
    def check(cls, shape: tuple[int, ...], **sizes: int) -> None:
        positive(cls, squeeze=sizes["squeeze"])

    @classmethod
    def work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        hidden, squeeze = sizes["dim"] * sizes["expansion"], sizes["squeeze"]
        macs, activations = super().work(height, width, **sizes, se=0)
        return macs + 2 * hidden * squeeze, activations + squeeze + hidden


@register
class SqueezedResidual(InvertedResidual):
    """The inverted residual with SiLU for ReLU6 and squeeze-excite before the projection (EfficientNet, Tan & Le, arXiv
    1905.11946): may change width and halve the image.

    Args:
        dim_in: channels in.
        dim_out: channels out.
        expansion: hidden channels over ``dim_in``.
        kernel: odd side of the depthwise kernel.
        stride: 1 or 2.
        squeeze: channels between squeeze and excite.
    """

    name = "squeezed_residual"
    elastic = {**InvertedResidual.elastic, "squeeze": (4, 8)}
    layout = {**InvertedResidual.layout, **_SQUEEZE}

    def __init__(self, dim_in: int, dim_out: int, expansion: int, kernel: int, stride: int, squeeze: int) -> None:
        super().__init__(dim_in, dim_out, expansion, kernel, stride)
        self.squeeze: nn.Conv2d = pointwise(dim_in * expansion, squeeze)
        self.excite: nn.Conv2d = pointwise(squeeze, dim_in * expansion)

    def forward(self, x: Tensor) -> Tensor:
        y = x
        if self.expand is not None and self.expand_norm is not None:
            y = F.silu(self.expand_norm(self.expand(y)))
        y = F.silu(self.depthwise_norm(self.depthwise(y)))
        gate = F.silu(self.squeeze(y.mean((2, 3), keepdim=True)))
        y = self.project_norm(self.project(y * self.excite(gate).sigmoid()))
        return x + y if self.residual else y

    @classmethod
    def check(cls, shape: tuple[int, ...], **sizes: int) -> None:
        super().check(shape, **sizes)
        positive(cls, squeeze=sizes["squeeze"])

    @classmethod
    def work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        hidden, squeeze = sizes["dim_in"] * sizes["expansion"], sizes["squeeze"]
        macs, activations = super().work(height, width, **sizes)
        return macs + 2 * hidden * squeeze, activations + squeeze + hidden
