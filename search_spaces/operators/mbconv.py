"""MBConv: inverted bottleneck with a depthwise convolution, with or without squeeze-excite."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from search_spaces.operators.base import Operator
from search_spaces.operators.registry import register


@register
class MBConv(Operator):
    """Inverted bottleneck (Sandler et al., arXiv 1801.04381), squeeze-excite as in EfficientNet (arXiv 1905.11946),
    in the pre-norm form of CoAtNet (arXiv 2106.04803): the shell's batch norm stands before the expansion.

    Args:
        dim: channels in and out.
        expansion: hidden channels over ``dim``.
        kernel: odd side of the depthwise kernel.
        se: 1 for squeeze-excite (reduction 4 of the hidden channels), 0 for none.
    """

    name, role, family, prenorm = "mbconv", "mixer", "conv", "batch"
    mixes_channels = True
    elastic = {"expansion": (2, 4, 6), "kernel": (3, 5, 7), "se": (0, 1)}
    layout = {
        "expand.weight": "hidden dim 1 1",
        "expand.bias": "hidden",
        "depthwise.weight": "hidden 1 kernel@centre kernel@centre",
        "norm.weight": "hidden",
        "norm.bias": "hidden",
        "norm.running_mean": "hidden",
        "norm.running_var": "hidden",
        "squeeze.weight": "reduced hidden 1 1",
        "squeeze.bias": "reduced",
        "excite.weight": "hidden reduced 1 1",
        "excite.bias": "hidden",
        "project.weight": "dim hidden 1 1",
        "project.bias": "dim",
    }

    def __init__(self, dim: int, expansion: int, kernel: int, se: int) -> None:
        super().__init__()
        hidden = dim * expansion
        self.expand = nn.Conv2d(dim, hidden, 1)
        self.depthwise = nn.Conv2d(hidden, hidden, kernel, padding=kernel // 2, groups=hidden, bias=False)
        self.norm = nn.BatchNorm2d(hidden)
        self.squeeze = nn.Conv2d(hidden, hidden // 4, 1) if se else None
        self.excite = nn.Conv2d(hidden // 4, hidden, 1) if se else None
        self.project = nn.Conv2d(hidden, dim, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = F.silu(self.expand(x))
        x = F.silu(self.norm(self.depthwise(x)))
        if self.squeeze is not None and self.excite is not None:
            gate = F.silu(self.squeeze(x.mean((2, 3), keepdim=True)))
            x = x * self.excite(gate).sigmoid()
        return self.project(x)

    @classmethod
    def axes(cls, **sizes: int) -> dict[str, int]:
        hidden = sizes["dim"] * sizes["expansion"]
        return {**sizes, "hidden": hidden, "reduced": hidden // 4}

    @classmethod
    def work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        tokens, dim, hidden = height * width, sizes["dim"], sizes["dim"] * sizes["expansion"]
        reduced = hidden // 4 if sizes["se"] else 0
        squeeze = 2 * hidden * reduced, (reduced + hidden) if reduced else 0
        macs = tokens * (2 * dim * hidden + hidden * sizes["kernel"] ** 2) + squeeze[0]
        return macs, tokens * (2 * hidden + dim) + squeeze[1]
