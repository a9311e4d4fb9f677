"""Dense convolutions: the plain one, the fused inverted bottleneck, and its grouped form with small kernels for CPUs."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from search_spaces.errors import SpaceError
from search_spaces.operators.base import Operator
from search_spaces.operators.convolutions import pointwise
from search_spaces.operators.legal import flag, odd, positive, require
from search_spaces.operators.registry import register


@register
class DenseConv(Operator):
    """One dense convolution: 3x3 in DiC (Tian et al., arXiv 2501.00603) and SimpleNet (arXiv 1608.06037). Many MACs, but
    the shape that devices run fastest.

    Args:
        dim: channels in and out.
        kernel: odd side of the kernel.
        dilation: distance of its taps.
    """

    name, role, family, prenorm = "dense_conv", "mixer", "conv", "batch"
    elastic = {"kernel": (3, 5), "dilation": (1, 2, 3)}
    layout = {"conv.weight": "dim dim kernel@centre kernel@centre", "conv.bias": "dim"}

    def __init__(self, dim: int, kernel: int, dilation: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(dim, dim, kernel, padding=kernel // 2 * dilation, dilation=dilation)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)

    @classmethod
    def check(cls, shape: tuple[int, ...], **sizes: int) -> None:
        odd(cls, kernel=sizes["kernel"])
        positive(cls, dilation=sizes["dilation"])

    @classmethod
    def work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        written = height * width * sizes["dim"]
        return written * sizes["dim"] * sizes["kernel"] ** 2, written


@register
class FusedMBConv(Operator):
    """Fused inverted bottleneck (Gupta & Tan, EfficientNet-EdgeTPU; EfficientNetV2, arXiv 2104.00298): one dense
    convolution expands and mixes, a 1x1 projects. As `MBConv`, with its expansion and depthwise convolution made one.

    Args:
        dim: channels in and out.
        expansion: hidden channels over ``dim``.
        kernel: odd side of the dense kernel.
        se: 1 for squeeze-excite (reduction 4 of the hidden channels), 0 for none.
    """

    name, role, family, prenorm = "fused_mbconv", "mixer", "conv", "batch"
    elastic = {"expansion": (1, 2, 4), "kernel": (3, 5), "se": (0, 1)}
    layout = {
        "expand.weight": "hidden dim kernel@centre kernel@centre",
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
        self.expand = nn.Conv2d(dim, hidden, kernel, padding=kernel // 2, bias=False)
        self.norm = nn.BatchNorm2d(hidden)
        self.squeeze = pointwise(hidden, hidden // 4) if se else None
        self.excite = pointwise(hidden // 4, hidden) if se else None
        self.project = pointwise(hidden, dim)

    def forward(self, x: Tensor) -> Tensor:
        x = F.silu(self.norm(self.expand(x)))
        if self.squeeze is not None and self.excite is not None:
            gate = F.silu(self.squeeze(x.mean((2, 3), keepdim=True)))
            x = x * self.excite(gate).sigmoid()
        return self.project(x)

    @classmethod
    def axes(cls, **sizes: int) -> dict[str, int]:
        hidden = sizes["dim"] * sizes["expansion"]
        return {**sizes, "hidden": hidden, "reduced": hidden // 4}

    @classmethod
    def check(cls, shape: tuple[int, ...], **sizes: int) -> None:
        odd(cls, kernel=sizes["kernel"])
        flag(cls, se=sizes["se"])
        if sizes["se"] and sizes["dim"] * sizes["expansion"] < 4:
            raise SpaceError(
                f"operator {cls.name!r}: expansion: got {sizes['expansion']}; legal: 4 hidden channels or more"
            )

    @classmethod
    def work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        tokens, dim, hidden = height * width, sizes["dim"], sizes["dim"] * sizes["expansion"]
        reduced = hidden // 4 if sizes["se"] else 0
        macs = tokens * hidden * dim * (sizes["kernel"] ** 2 + 1) + 2 * hidden * reduced
        return macs, tokens * (hidden + dim) + (reduced + hidden if reduced else 0)


@register
class GroupedMBConv(Operator):
    """Fused inverted bottleneck with a grouped 2x2 convolution, for devices that run little in parallel (Nottebaum et al.,
    CPUBone, arXiv 2603.26425). An even kernel looks one pixel up and left: the padding is there only.

    Channel c belongs to group c mod ``groups``, so a narrower operator keeps the first channels of every group. The
    number of groups cannot be shared: a slot of a space offers one.

    Args:
        dim: channels in and out.
        groups: groups of channels that the convolution keeps apart.
        expansion: hidden channels over ``dim``.
        kernel: 2 or 3; the 2x2 kernel is the upper left part of the 3x3 one.
    """

    name, role, family, prenorm = "grouped_mbconv", "mixer", "conv", "batch"
    elastic = {"groups": (2,), "expansion": (1, 2, 4), "kernel": (2, 3)}
    layout = {
        "expand.weight": "(groups hidden) part kernel kernel",
        "norm.weight": "(groups hidden)",
        "norm.bias": "(groups hidden)",
        "norm.running_mean": "(groups hidden)",
        "norm.running_var": "(groups hidden)",
        "project.weight": "dim (groups hidden) 1 1",
        "project.bias": "dim",
    }

    def __init__(self, dim: int, groups: int, expansion: int, kernel: int) -> None:
        super().__init__()
        self.groups = groups
        self.margin = (1, kernel - 2, 1, kernel - 2)  # left, right, top, bottom
        self.expand = nn.Conv2d(dim, dim * expansion, kernel, groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(dim * expansion)
        self.project = pointwise(dim * expansion, dim)

    def forward(self, x: Tensor) -> Tensor:
        x = x.unflatten(1, (-1, self.groups)).transpose(1, 2).flatten(1, 2)
        return self.project(F.silu(self.norm(self.expand(F.pad(x, self.margin)))))

    @classmethod
    def axes(cls, **sizes: int) -> dict[str, int]:
        part = sizes["dim"] // sizes["groups"]
        return {**sizes, "part": part, "hidden": part * sizes["expansion"]}

    @classmethod
    def check(cls, shape: tuple[int, ...], **sizes: int) -> None:
        require(sizes["kernel"] in (2, 3), cls, "kernel", sizes["kernel"], "2, 3")
        if sizes["groups"] < 1 or sizes["dim"] % sizes["groups"]:
            raise SpaceError(
                f"operator {cls.name!r}: groups: got {sizes['groups']}; legal: divisors of dim {sizes['dim']}"
            )

    @classmethod
    def work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        tokens, dim, hidden = height * width, sizes["dim"], sizes["dim"] * sizes["expansion"]
        macs = tokens * hidden * (dim // sizes["groups"] * sizes["kernel"] ** 2 + dim)
        return macs, tokens * (hidden + dim)
