"""ConvNeXt-like block: large depthwise kernel, then a two-layer channel map."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from search_spaces.operators.base import Operator
from search_spaces.operators.registry import register


@register
class ConvNeXt(Operator):
    """Depthwise convolution, 1x1 up, GELU, 1x1 down (Liu et al., arXiv 2201.03545). The norm stands before the depthwise
    convolution (the shell's), not after it.

    Args:
        dim: channels in and out.
        expansion: hidden channels over ``dim``.
        kernel: odd side of the depthwise kernel.
    """

    name, role, family = "convnext", "mixer", "conv"
    mixes_channels = True
    elastic = {"expansion": (2, 3, 4), "kernel": (3, 5, 7)}
    layout = {
        "depthwise.weight": "dim 1 kernel@centre kernel@centre",
        "depthwise.bias": "dim",
        "up.weight": "hidden dim 1 1",
        "up.bias": "hidden",
        "down.weight": "dim hidden 1 1",
        "down.bias": "dim",
    }

    def __init__(self, dim: int, expansion: int, kernel: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(dim, dim, kernel, padding=kernel // 2, groups=dim)
        self.up = nn.Conv2d(dim, dim * expansion, 1)
        self.down = nn.Conv2d(dim * expansion, dim, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.down(F.gelu(self.up(self.depthwise(x))))

    @classmethod
    def axes(cls, **sizes: int) -> dict[str, int]:
        return {**sizes, "hidden": sizes["dim"] * sizes["expansion"]}

    @classmethod
    def work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        tokens, dim, hidden = height * width, sizes["dim"], sizes["dim"] * sizes["expansion"]
        return tokens * (dim * sizes["kernel"] ** 2 + 2 * dim * hidden), tokens * (2 * dim + hidden)
