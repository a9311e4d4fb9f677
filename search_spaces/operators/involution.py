"""Kernels made from the pixel they are applied at."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from search_spaces.errors import SpaceError
from search_spaces.operators.base import Operator
from search_spaces.operators.convolutions import pointwise
from search_spaces.operators.legal import odd
from search_spaces.operators.registry import register


@register
class Involution(Operator):
    """Involution (Li et al., arXiv 2103.06255), as the dynamic local kernels of DLGSANet (arXiv 2208.02814): two 1x1 make, at
    every pixel, a kernel for each group of channels, which the group's channels share.

    Channel c belongs to group c mod ``groups``, so a narrower operator keeps the first channels of every group.

    Args:
        dim: channels in and out, a multiple of ``groups``.
        inner: channels from which the kernels are made.
        groups: kernels at a pixel.
        kernel: odd side of the kernels.
    """

    name, role, family = "involution", "mixer", "conv"
    elastic = {"inner": (8, 16), "groups": (1, 2, 4), "kernel": (3, 5)}
    layout = {
        "squeeze.weight": "inner dim 1 1",
        "squeeze.bias": "inner",
        "kernels.weight": "(kernel@centre kernel@centre groups) inner 1 1",
        "kernels.bias": "(kernel@centre kernel@centre groups)",
    }

    def __init__(self, dim: int, inner: int, groups: int, kernel: int) -> None:
        super().__init__()
        self.groups, self.kernel = groups, kernel
        self.squeeze = pointwise(dim, inner)
        self.kernels = pointwise(inner, kernel * kernel * groups)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[2:]
        reach = self.kernel // 2
        taps = self.kernels(torch.relu(self.squeeze(x))).split(self.groups, 1)
        wide = F.pad(x, (reach, reach, reach, reach))
        total = torch.zeros_like(x).unflatten(1, (-1, self.groups))
        for i, tap in enumerate(taps):
            top, left = divmod(i, self.kernel)
            seen = wide[:, :, top : top + height, left : left + width].unflatten(1, (-1, self.groups))
            total = total + seen * tap[:, None]
        return total.flatten(1, 2)

    @classmethod
    def check(cls, shape: tuple[int, ...], **sizes: int) -> None:
        if sizes["groups"] < 1 or sizes["dim"] % sizes["groups"]:
            raise SpaceError(
                f"operator {cls.name!r}: groups: got {sizes['groups']}; legal: divisors of dim {sizes['dim']}"
            )
        odd(cls, kernel=sizes["kernel"])

    @classmethod
    def work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        tokens, inner, made = height * width, sizes["inner"], sizes["kernel"] ** 2 * sizes["groups"]
        return tokens * inner * (sizes["dim"] + made), tokens * (inner + made)
