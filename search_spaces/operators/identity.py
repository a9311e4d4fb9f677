"""Identity: a layer without a token mixer."""

from __future__ import annotations

from torch import Tensor

from search_spaces.operators.base import Operator
from search_spaces.operators.registry import register


@register
class Identity(Operator):
    """Passes its input on. As a mixer it leaves only the layer's channel mixer.

    Args:
        dim: channels in and out.
    """

    name, role, shell = "identity", "mixer", False

    def __init__(self, dim: int) -> None:
        super().__init__()

    def forward(self, x: Tensor) -> Tensor:
        return x

    @classmethod
    def work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        return 0, 0
