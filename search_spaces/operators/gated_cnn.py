"""Element-wise products of two projections around a depthwise convolution: gated CNN and star blocks."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from search_spaces.operators.base import Operator
from search_spaces.operators.convolutions import depthwise, pointwise
from search_spaces.operators.legal import odd, require
from search_spaces.operators.registry import register


@register
class GatedCNN(Operator):
    """Gated CNN block (Dauphin et al., arXiv 1612.08083; MambaOut, arXiv 2405.07992): Mamba's block without its state space.
    A depthwise convolution on some channels of the values, which GELU gates multiply.

    Args:
        dim: channels in and out.
        inner: channels of gates and values.
        part: values that are convolved, at most ``inner``; the others pass.
        kernel: odd side of the depthwise kernel.
    """

    name, role, family = "gated_cnn", "mixer", "conv"
    elastic = {"inner": (16, 32), "part": (8, 16), "kernel": (3, 5, 7)}
    layout = {
        "gate.weight": "inner dim 1 1",
        "gate.bias": "inner",
        "value.weight": "inner dim 1 1",
        "value.bias": "inner",
        "depthwise.weight": "part 1 kernel@centre kernel@centre",
        "depthwise.bias": "part",
        "out.weight": "dim inner 1 1",
        "out.bias": "dim",
    }

    def __init__(self, dim: int, inner: int, part: int, kernel: int) -> None:
        super().__init__()
        self.part = part
        self.gate = pointwise(dim, inner)
        self.value = pointwise(dim, inner)
        self.depthwise = depthwise(part, kernel)
        self.out = pointwise(inner, dim)

    def forward(self, x: Tensor) -> Tensor:
        value = self.value(x)
        mixed = self.depthwise(value[:, : self.part])
        if self.part < value.shape[1]:
            mixed = torch.cat([mixed, value[:, self.part :]], 1)
        return self.out(F.gelu(self.gate(x)) * mixed)

    @classmethod
    def check(cls, shape: tuple[int, ...], **sizes: int) -> None:
        require(1 <= sizes["part"] <= sizes["inner"], cls, "part", sizes["part"], f"1 to inner {sizes['inner']}")
        odd(cls, kernel=sizes["kernel"])

    @classmethod
    def work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        tokens, dim, inner, part = height * width, sizes["dim"], sizes["inner"], sizes["part"]
        return tokens * (3 * dim * inner + part * sizes["kernel"] ** 2), tokens * (2 * inner + part + dim)


@register
class Star(Operator):
    """Star block (Ma et al., StarNet, arXiv 2403.19967): depthwise convolution, two projections of which one is clipped to
    0 to 6 and multiplies the other, 1x1 down, depthwise convolution.

    Args:
        dim: channels in and out.
        expansion: channels of the projections over ``dim``.
        kernel: odd side of both depthwise kernels.
    """

    name, role, family, prenorm = "star", "mixer", "conv", "batch"
    elastic = {"expansion": (2, 3, 4), "kernel": (3, 5, 7)}
    layout = {
        "near.weight": "dim 1 kernel@centre kernel@centre",
        "near.bias": "dim",
        "gate.weight": "hidden dim 1 1",
        "gate.bias": "hidden",
        "value.weight": "hidden dim 1 1",
        "value.bias": "hidden",
        "down.weight": "dim hidden 1 1",
        "down.bias": "dim",
        "far.weight": "dim 1 kernel@centre kernel@centre",
        "far.bias": "dim",
    }

    def __init__(self, dim: int, expansion: int, kernel: int) -> None:
        super().__init__()
        self.near = depthwise(dim, kernel)
        self.gate = pointwise(dim, dim * expansion)
        self.value = pointwise(dim, dim * expansion)
        self.down = pointwise(dim * expansion, dim)
        self.far = depthwise(dim, kernel)

    def forward(self, x: Tensor) -> Tensor:
        x = self.near(x)
        return self.far(self.down(self.gate(x).clamp(0, 6) * self.value(x)))

    @classmethod
    def axes(cls, **sizes: int) -> dict[str, int]:
        return {**sizes, "hidden": sizes["dim"] * sizes["expansion"]}

    @classmethod
    def check(cls, shape: tuple[int, ...], **sizes: int) -> None:
        odd(cls, kernel=sizes["kernel"])

    @classmethod
    def work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        tokens, dim, hidden = height * width, sizes["dim"], sizes["dim"] * sizes["expansion"]
        return tokens * dim * (3 * hidden + 2 * sizes["kernel"] ** 2), tokens * (3 * dim + 2 * hidden)
