"""Mixing by shifts: channels move a little in four directions between two linear maps."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from search_spaces.operators.base import Operator
from search_spaces.operators.legal import positive
from search_spaces.operators.registry import register


def shifted(x: Tensor, distance: int, axis: int) -> Tensor:
    """``x`` moved by ``distance`` (its sign gives the direction) along ``axis``; the edge it leaves keeps its values."""
    length = x.shape[axis]
    stay = min(abs(distance), length)
    if distance > 0:
        return torch.cat([x.narrow(axis, 0, stay), x.narrow(axis, 0, length - stay)], axis)
    return torch.cat([x.narrow(axis, stay, length - stay), x.narrow(axis, length - stay, stay)], axis)


@register
class S2MLP(Operator):
    """Spatial-shift MLP (Yu et al., S2-MLP, arXiv 2106.07477): linear, GELU, a quarter of the channels moved down, up, right
    and left, linear. Mixing has no parameters of its own and works at any resolution.

    Args:
        dim: channels in and out.
        quarter: channels of each direction.
        distance: pixels a shift.
    """

    name, role, family = "s2_mlp", "mixer", "mlp"
    elastic = {"quarter": (4, 8, 16), "distance": (1, 2)}
    layout = {
        "up.weight": "(4 quarter) dim",
        "up.bias": "(4 quarter)",
        "down.weight": "dim (4 quarter)",
        "down.bias": "dim",
    }

    def __init__(self, dim: int, quarter: int, distance: int) -> None:
        super().__init__()
        self.distance = distance
        self.up = nn.Linear(dim, 4 * quarter)
        self.down = nn.Linear(4 * quarter, dim)

    def forward(self, x: Tensor) -> Tensor:
        parts = F.gelu(self.up(x.permute(0, 2, 3, 1))).chunk(4, -1)
        moves = ((self.distance, 1), (-self.distance, 1), (self.distance, 2), (-self.distance, 2))
        moved = [shifted(part, *move) for part, move in zip(parts, moves, strict=True)]
        return self.down(torch.cat(moved, -1)).permute(0, 3, 1, 2)

    @classmethod
    def check(cls, shape: tuple[int, ...], **sizes: int) -> None:
        positive(cls, quarter=sizes["quarter"], distance=sizes["distance"])

    @classmethod
    def work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        tokens, dim, inner = height * width, sizes["dim"], 4 * sizes["quarter"]
        return 2 * tokens * dim * inner, tokens * (inner + dim)
