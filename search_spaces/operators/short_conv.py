"""Gated short convolution: the simplest token mixer with gates."""

from __future__ import annotations

from torch import Tensor, nn

from search_spaces.operators.base import Operator
from search_spaces.operators.registry import register


@register
class ShortConv(Operator):
    """Double-gated short convolution of LFM2 (arXiv 2511.23404) on images: ``out(c * depthwise(b * v))``.

    Args:
        dim: channels in and out.
        expansion: inner channels over ``dim``.
        kernel: odd side of the depthwise kernel.
    """

    name, role, family = "short_conv", "mixer", "conv"
    elastic = {"expansion": (1, 2), "kernel": (3, 5, 7)}
    layout = {
        "gates.weight": "(3 inner) dim 1 1",
        "gates.bias": "(3 inner)",
        "depthwise.weight": "inner 1 kernel@centre kernel@centre",
        "out.weight": "dim inner 1 1",
        "out.bias": "dim",
    }

    def __init__(self, dim: int, expansion: int, kernel: int) -> None:
        super().__init__()
        inner = dim * expansion
        self.gates = nn.Conv2d(dim, 3 * inner, 1)
        self.depthwise = nn.Conv2d(inner, inner, kernel, padding=kernel // 2, groups=inner, bias=False)
        self.out = nn.Conv2d(inner, dim, 1)

    def forward(self, x: Tensor) -> Tensor:
        b, c, v = self.gates(x).chunk(3, 1)
        return self.out(c * self.depthwise(b * v))

    @classmethod
    def axes(cls, **sizes: int) -> dict[str, int]:
        return {**sizes, "inner": sizes["dim"] * sizes["expansion"]}

    @classmethod
    def work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        tokens, dim, inner = height * width, sizes["dim"], sizes["dim"] * sizes["expansion"]
        return tokens * (4 * dim * inner + inner * sizes["kernel"] ** 2), tokens * (4 * inner + dim)
