"""Re-parameterised small depthwise convolution."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from search_spaces.operators.base import Operator
from search_spaces.operators.convolutions import depthwise, folded, with_weights
from search_spaces.operators.legal import odd
from search_spaces.operators.registry import register


@register
class RepDepthwise(Operator):
    """Depthwise convolution, depthwise 1x1 and the input itself, summed and normalised (Wang et al., RepViT, arXiv
    2307.09283). One plain kernel equals it: see `merged`.

    Args:
        dim: channels in and out.
        kernel: odd side of the kernel.
    """

    name, role, family, prenorm = "rep_depthwise", "mixer", "conv", "batch"
    elastic = {"kernel": (3, 5, 7)}
    layout = {
        "conv.weight": "dim 1 kernel@centre kernel@centre",
        "point.weight": "dim 1 1 1",
        "point.bias": "dim",
        **{f"{norm}.{part}": "dim" for norm in ("conv_norm", "norm") for part in ("weight", "bias")},
        **{f"{norm}.running_{part}": "dim" for norm in ("conv_norm", "norm") for part in ("mean", "var")},
    }

    def __init__(self, dim: int, kernel: int) -> None:
        super().__init__()
        self.conv = depthwise(dim, kernel, bias=False)
        self.conv_norm = nn.BatchNorm2d(dim)
        self.point = depthwise(dim, 1)
        self.norm = nn.BatchNorm2d(dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.conv_norm(self.conv(x)) + self.point(x) + x)

    def merged(self) -> nn.Conv2d:
        """The single depthwise convolution that equals this operator in evaluation mode."""
        dim, _, side, _ = self.conv.weight.shape
        weight, bias = folded(self.conv, self.conv_norm)
        assert self.point.bias is not None
        centre = F.pad(self.point.weight + torch.ones_like(self.point.weight), [side // 2] * 4)
        whole = with_weights(depthwise(dim, side), weight + centre, bias + self.point.bias)
        return with_weights(depthwise(dim, side), *folded(whole, self.norm))

    @classmethod
    def check(cls, shape: tuple[int, ...], **sizes: int) -> None:
        odd(cls, kernel=sizes["kernel"])

    @classmethod
    def work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        written = height * width * sizes["dim"]
        return written * (sizes["kernel"] ** 2 + 1), 2 * written
