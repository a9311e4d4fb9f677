"""Shifted channels as a token mixer: no parameters, no multiplications."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from search_spaces.errors import SpaceError
from search_spaces.operators.base import Operator
from search_spaces.operators.registry import register


@register
class SpatialShift(Operator):
    """Spatial shift (Wu et al., arXiv 1711.08141; Yu et al., S2-MLP, arXiv 2106.07477; Wang et al., ShiftViT, arXiv
    2201.10801): some channels move up, down, left and right, zeros come in, the others stay.

    Channel c moves for c mod ``period`` = 0, 1, 2, 3, in this order, so a channel moves alike at every width.

    Args:
        dim: channels in and out, a multiple of ``period``.
        period: 4 or more; of as many channels four move.
        distance: in pixels.
    """

    name, role, family = "spatial_shift", "mixer", "other"
    elastic = {"period": (4, 8), "distance": (1, 2, 3)}

    def __init__(self, dim: int, period: int, distance: int) -> None:
        super().__init__()
        self.period, self.distance = period, distance

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[2:]
        far = self.distance
        wide = F.pad(x, (far, far, far, far))
        corners = [(2 * far, far), (0, far), (far, 2 * far), (far, 0)]
        moved = [
            wide[:, i :: self.period, top : top + height, left : left + width] for i, (top, left) in enumerate(corners)
        ]
        stay = [x[:, i :: self.period] for i in range(4, self.period)]
        return torch.stack(moved + stay, 2).flatten(1, 2)

    @classmethod
    def check(cls, shape: tuple[int, ...], **sizes: int) -> None:
        if sizes["period"] < 4 or sizes["dim"] % sizes["period"]:
            raise SpaceError(
                f"operator {cls.name!r}: period: got {sizes['period']}; legal: divisors of dim {sizes['dim']}, 4 or more"
            )

    @classmethod
    def work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        return 0, 0
