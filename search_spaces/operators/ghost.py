"""Ghost bottleneck: half of the channels are made cheaply from the other half."""

from __future__ import annotations

import torch
from torch import Tensor

from search_spaces.operators.base import Operator
from search_spaces.operators.convolutions import depthwise, pointwise
from search_spaces.operators.legal import odd, require
from search_spaces.operators.registry import register


@register
class Ghost(Operator):
    """Ghost bottleneck (Han et al., GhostNet, arXiv 1911.11907): up and down again, where each time a 1x1 makes one half of
    the channels and a depthwise convolution of these the other; ReLU after both parts of the first.

    Halves are interleaved in the output, so a narrower operator keeps the first channels of both.

    Args:
        dim: channels in and out, even.
        expansion: hidden channels over ``dim``.
        kernel: odd side of both depthwise kernels.
    """

    name, role, family, prenorm = "ghost", "mixer", "conv", "batch"
    elastic = {"expansion": (2, 4, 6), "kernel": (3, 5)}
    layout = {
        "up.weight": "half_hidden dim 1 1",
        "up.bias": "half_hidden",
        "up_ghost.weight": "half_hidden 1 kernel@centre kernel@centre",
        "up_ghost.bias": "half_hidden",
        "down.weight": "half_dim (2 half_hidden) 1 1",
        "down.bias": "half_dim",
        "down_ghost.weight": "half_dim 1 kernel@centre kernel@centre",
        "down_ghost.bias": "half_dim",
    }

    def __init__(self, dim: int, expansion: int, kernel: int) -> None:
        super().__init__()
        hidden = dim * expansion
        self.up = pointwise(dim, hidden // 2)
        self.up_ghost = depthwise(hidden // 2, kernel)
        self.down = pointwise(hidden, dim // 2)
        self.down_ghost = depthwise(dim // 2, kernel)

    def forward(self, x: Tensor) -> Tensor:
        hidden = torch.relu(self.up(x))
        half = self.down(torch.cat([hidden, torch.relu(self.up_ghost(hidden))], 1))
        return torch.stack([half, self.down_ghost(half)], 2).flatten(1, 2)

    @classmethod
    def axes(cls, **sizes: int) -> dict[str, int]:
        return {**sizes, "half_dim": sizes["dim"] // 2, "half_hidden": sizes["dim"] * sizes["expansion"] // 2}

    @classmethod
    def check(cls, shape: tuple[int, ...], **sizes: int) -> None:
        require(sizes["dim"] % 2 == 0, cls, "dim", sizes["dim"], "even")
        odd(cls, kernel=sizes["kernel"])

    @classmethod
    def work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        tokens, dim, hidden = height * width, sizes["dim"], sizes["dim"] * sizes["expansion"]
        macs = dim * hidden + (hidden + dim) // 2 * sizes["kernel"] ** 2
        return tokens * macs, tokens * (hidden + dim)
