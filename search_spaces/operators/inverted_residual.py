"""The inverted residual block with its own norms and residual: may change width and halve the image."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from search_spaces.operators.base import Operator
from search_spaces.operators.frame import halved
from search_spaces.operators.legal import odd, require
from search_spaces.operators.registry import register


@register
class InvertedResidual(Operator):
    """1x1 up, depthwise, 1x1 down, each with a batch norm and no bias, ReLU6 after the first two (Sandler et al.,
    MobileNetV2, arXiv 1801.04381). The input is added where shapes agree. Expansion 1 has no first convolution.

    Args:
        dim_in: channels in.
        dim_out: channels out.
        expansion: hidden channels over ``dim_in``.
        kernel: odd side of the depthwise kernel.
        stride: 1 or 2.
    """

    name, role, family = "inverted_residual", "downsample", "conv"
    elastic = {"dim_in": (8, 16), "dim_out": (16, 24), "expansion": (1, 3, 6), "kernel": (3, 5, 7), "stride": (1, 2)}
    layout = {
        "expand.weight": "hidden dim_in 1 1",
        **{f"expand_norm.{part}": "hidden" for part in ("weight", "bias", "running_mean", "running_var")},
        "depthwise.weight": "hidden 1 kernel@centre kernel@centre",
        **{f"depthwise_norm.{part}": "hidden" for part in ("weight", "bias", "running_mean", "running_var")},
        "project.weight": "dim_out hidden 1 1",
        **{f"project_norm.{part}": "dim_out" for part in ("weight", "bias", "running_mean", "running_var")},
    }

    def __init__(self, dim_in: int, dim_out: int, expansion: int, kernel: int, stride: int) -> None:
        super().__init__()
        hidden = dim_in * expansion
        self.residual = stride == 1 and dim_in == dim_out
        self.expand = nn.Conv2d(dim_in, hidden, 1, bias=False) if expansion > 1 else None
        self.expand_norm = nn.BatchNorm2d(hidden) if expansion > 1 else None
        self.depthwise = nn.Conv2d(hidden, hidden, kernel, stride, kernel // 2, groups=hidden, bias=False)
        self.depthwise_norm = nn.BatchNorm2d(hidden)
        self.project = nn.Conv2d(hidden, dim_out, 1, bias=False)
        self.project_norm = nn.BatchNorm2d(dim_out)

    def forward(self, x: Tensor) -> Tensor:
        y = x
        if self.expand is not None and self.expand_norm is not None:
            y = F.relu6(self.expand_norm(self.expand(y)))
        y = F.relu6(self.depthwise_norm(self.depthwise(y)))
        y = self.project_norm(self.project(y))
        return x + y if self.residual else y

    @classmethod
    def axes(cls, **sizes: int) -> dict[str, int]:
        return {**sizes, "hidden": sizes["dim_in"] * sizes["expansion"]}

    @classmethod
    def check(cls, shape: tuple[int, ...], **sizes: int) -> None:
        require(sizes["stride"] in (1, 2), cls, "stride", sizes["stride"], "1, 2")
        odd(cls, kernel=sizes["kernel"])

    @classmethod
    def output_shape(cls, shape: tuple[int, ...], **sizes: int) -> tuple[int, ...]:
        _, height, width = shape
        out = (height, width) if sizes["stride"] == 1 else (halved(height), halved(width))
        return sizes["dim_out"], *out

    @classmethod
    def work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        dim_in, dim_out, hidden = sizes["dim_in"], sizes["dim_out"], sizes["dim_in"] * sizes["expansion"]
        _, out_height, out_width = cls.output_shape((dim_in, height, width), **sizes)
        tokens, after = height * width, out_height * out_width
        wide = tokens * hidden if sizes["expansion"] > 1 else 0
        return wide * dim_in + after * hidden * (sizes["kernel"] ** 2 + dim_out), wide + after * (hidden + dim_out)
