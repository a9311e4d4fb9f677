"""Recursive gated convolution."""

from __future__ import annotations

from torch import Tensor, nn

from search_spaces.operators.base import Operator
from search_spaces.operators.convolutions import depthwise, pointwise
from search_spaces.operators.legal import odd, require
from search_spaces.operators.registry import register

UNITS = 16  # finest division of the width: the first of five orders has one sixteenth of the last one's channels
SCALE = 1 / 3


def gated_units(order: int) -> int:
    """Units, of 2 x 16, that the depthwise convolution gates with: 16 + 8 + ... for the last ``order`` steps."""
    return 2 * UNITS - (UNITS >> (order - 1))


@register
class RecursiveGatedConv(Operator):
    """Recursive gated convolution (Rao et al., HorNet, arXiv 2207.14284): interactions of high order between neighbours.
    One projection gives a narrow start p and gates q; p is widened by a 1x1 and multiplied by the next depthwise-convolved
    gate, twice as wide each time, until it has ``inner`` channels.

    The projection gives twice ``inner`` at every order. Its rows lie from the last (widest) gate to the first and the
    start, in 32 units, so a lower order uses the same gates and takes the remaining rows together as its start.

    Args:
        dim: channels in and out.
        inner: channels of the last interaction, a multiple of 16.
        order: 1 to 5, number of gates.
        kernel: odd side of the depthwise kernel.
    """

    name, role, family, prenorm = "gnconv", "mixer", "conv", "batch"
    elastic = {"inner": (16, 32), "order": (1, 2, 3, 4, 5), "kernel": (3, 5, 7)}
    layout = {
        "enter.weight": "(32 unit) dim 1 1",
        "enter.bias": "(32 unit)",
        "depthwise.weight": "(gated unit) 1 kernel@centre kernel@centre",
        "depthwise.bias": "(gated unit)",
        **{f"widen.{i}.weight": f"({UNITS >> i} unit) ({UNITS >> (i + 1)} unit) 1 1" for i in range(4)},
        **{f"widen.{i}.bias": f"({UNITS >> i} unit)" for i in range(4)},
        "leave.weight": "dim (16 unit) 1 1",
        "leave.bias": "dim",
    }

    def __init__(self, dim: int, inner: int, order: int, kernel: int) -> None:
        super().__init__()
        unit = inner // UNITS
        self.widths = [inner >> i for i in range(order)]  # widest first
        self.enter = pointwise(dim, 2 * inner)
        self.depthwise = depthwise(gated_units(order) * unit, kernel)
        self.widen = nn.ModuleList(pointwise(inner >> (i + 1), inner >> i) for i in range(order - 1))
        self.leave = pointwise(inner, dim)

    def forward(self, x: Tensor) -> Tensor:
        gates, state = self.enter(x).split([sum(self.widths), self.widths[-1]], 1)
        *wider, first = (self.depthwise(gates) * SCALE).split(self.widths, 1)
        state = state * first
        for widen, gate in zip(reversed(self.widen), reversed(wider), strict=True):
            state = widen(state) * gate
        return self.leave(state)

    @classmethod
    def axes(cls, **sizes: int) -> dict[str, int]:
        return {**sizes, "unit": sizes["inner"] // UNITS, "gated": gated_units(sizes["order"])}

    @classmethod
    def check(cls, shape: tuple[int, ...], **sizes: int) -> None:
        require(sizes["inner"] % UNITS == 0 < sizes["inner"], cls, "inner", sizes["inner"], f"multiples of {UNITS}")
        require(1 <= sizes["order"] <= 5, cls, "order", sizes["order"], "1 to 5")
        odd(cls, kernel=sizes["kernel"])

    @classmethod
    def work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        dim, inner = sizes["dim"], sizes["inner"]
        gates = gated_units(sizes["order"]) * (inner // UNITS)
        widened = [inner >> i for i in range(sizes["order"] - 1)]
        macs = 3 * dim * inner + gates * sizes["kernel"] ** 2 + sum(wide * wide // 2 for wide in widened)
        return height * width * macs, height * width * (2 * inner + gates + sum(widened) + dim)
