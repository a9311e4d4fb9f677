"""A stem of two strided convolutions whose middle is narrower than the first stage."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from search_spaces.operators.base import Operator
from search_spaces.operators.frame import halved
from search_spaces.operators.layers import ChannelNorm
from search_spaces.operators.legal import positive
from search_spaces.operators.registry import register


@register
class SteppedStem(Operator):
    """Two 3x3 convolutions of stride 2, each with a norm, GELU between them (the convolutional stem of Xiao et al., arXiv
    2106.14881, as MambaOut, arXiv 2405.07992, and SwiftFormer, arXiv 2303.15446, have it).

    Args:
        channels: of the image.
        dim: channels out.
        hidden: channels between the two.
    """

    name, role, family = "stepped_stem", "stem", "conv"
    elastic = {"channels": (3,), "dim": (16, 32), "hidden": (8, 16)}
    layout = {
        "first.weight": "hidden channels 3 3",
        "first.bias": "hidden",
        "first_norm.weight": "hidden",
        "first_norm.bias": "hidden",
        "second.weight": "dim hidden 3 3",
        "second.bias": "dim",
        "second_norm.weight": "dim",
        "second_norm.bias": "dim",
    }

    def __init__(self, channels: int, dim: int, hidden: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, hidden, 3, stride=2, padding=1)
        self.first_norm = ChannelNorm(hidden)
        self.second = nn.Conv2d(hidden, dim, 3, stride=2, padding=1)
        self.second_norm = ChannelNorm(dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.second_norm(self.second(F.gelu(self.first_norm(self.first(x)))))

    @classmethod
    def check(cls, shape: tuple[int, ...], **sizes: int) -> None:
        positive(cls, hidden=sizes["hidden"])

    @classmethod
    def output_shape(cls, shape: tuple[int, ...], **sizes: int) -> tuple[int, ...]:
        return sizes["dim"], halved(halved(shape[1])), halved(halved(shape[2]))

    @classmethod
    def work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        hidden, dim = sizes["hidden"], sizes["dim"]
        wide = halved(height) * halved(width) * hidden
        tokens = halved(halved(height)) * halved(halved(width))
        return 9 * (wide * sizes["channels"] + tokens * hidden * dim), wide + tokens * dim
