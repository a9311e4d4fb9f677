"""Large kernels: re-parameterised depthwise, decomposed into an attention map, and as multi-scale strips."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from search_spaces.errors import SpaceError
from search_spaces.operators.base import Operator
from search_spaces.operators.convolutions import dense_kernel, depthwise, folded, pointwise, with_weights
from search_spaces.operators.legal import odd, positive, require
from search_spaces.operators.registry import register

MOST_BRANCHES = 6
STRIPS = (7, 11, 21)


def small_side(branch: int, kernel: int) -> int:
    """Side of the small kernel with dilation ``branch + 1`` beside a large one: 5 for the first two if it fits, else 3."""
    return 5 if branch < 2 and 4 * (branch + 1) < kernel else 3


@register
class LargeKernelConv(Operator):
    """Large depthwise convolution with parallel small dilated ones, each with its batch norm (Ding et al., UniRepLKNet,
    arXiv 2311.15599). All of them are linear, so one plain kernel equals their sum: see `merged`.

    Args:
        dim: channels in and out.
        kernel: odd side of the large kernel.
        branches: small kernels beside it; number i has dilation i + 1 and fits inside the large one.
    """

    name, role, family = "large_kernel_conv", "mixer", "conv"
    elastic = {"kernel": (7, 13, 31), "branches": (0, 2, 3)}
    layout = {
        "large.weight": "dim 1 kernel@centre kernel@centre",
        **{f"large_norm.{part}": "dim" for part in ("weight", "bias", "running_mean", "running_var")},
        **{f"small.{i}.weight": f"dim 1 side{i}@centre side{i}@centre" for i in range(MOST_BRANCHES)},
        **{
            f"small_norm.{i}.{part}": "dim"
            for i in range(MOST_BRANCHES)
            for part in ("weight", "bias", "running_mean", "running_var")
        },
    }

    def __init__(self, dim: int, kernel: int, branches: int) -> None:
        super().__init__()
        sides = [small_side(i, kernel) for i in range(branches)]
        self.large = depthwise(dim, kernel, bias=False)
        self.large_norm = nn.BatchNorm2d(dim)
        self.small = nn.ModuleList(depthwise(dim, side, i + 1, bias=False) for i, side in enumerate(sides))
        self.small_norm = nn.ModuleList(nn.BatchNorm2d(dim) for _ in sides)

    def forward(self, x: Tensor) -> Tensor:
        y = self.large_norm(self.large(x))
        for conv, norm in zip(self.small, self.small_norm, strict=True):
            y = y + norm(conv(x))
        return y

    def merged(self) -> nn.Conv2d:
        """The single depthwise convolution that equals this operator in evaluation mode."""
        dim, _, side, _ = self.large.weight.shape
        weight, bias = folded(self.large, self.large_norm)
        for i, (conv, norm) in enumerate(zip(self.small, self.small_norm, strict=True)):
            small, shift = folded(conv, norm)  # type: ignore[arg-type]
            weight, bias = weight + dense_kernel(small, i + 1, side), bias + shift
        return with_weights(depthwise(dim, side), weight, bias)

    @classmethod
    def axes(cls, **sizes: int) -> dict[str, int]:
        return {**sizes, **{f"side{i}": small_side(i, sizes["kernel"]) for i in range(MOST_BRANCHES)}}

    @classmethod
    def check(cls, shape: tuple[int, ...], **sizes: int) -> None:
        require(sizes["kernel"] % 2 == 1 < sizes["kernel"], cls, "kernel", sizes["kernel"], "odd numbers from 3")
        most = min(MOST_BRANCHES, (sizes["kernel"] - 1) // 2)
        if sizes["branches"] > most:
            raise SpaceError(
                f"operator {cls.name!r}: branches: got {sizes['branches']}; legal: 0 to {most} at kernel {sizes['kernel']}"
            )

    @classmethod
    def work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        written = height * width * sizes["dim"]
        taps = sum(small_side(i, sizes["kernel"]) ** 2 for i in range(sizes["branches"]))
        return written * (sizes["kernel"] ** 2 + taps), written * (1 + sizes["branches"])


class _ConvAttention(Operator):
    """1x1, GELU, a convolutional map that multiplies its own input, 1x1: the frame of VAN and SegNeXt."""

    role, family, prenorm = "mixer", "conv", "batch"

    def __init__(self, dim: int, kernel: int) -> None:
        super().__init__()
        self.enter = pointwise(dim, dim)
        self.local = depthwise(dim, kernel)
        self.mix = pointwise(dim, dim)
        self.leave = pointwise(dim, dim)

    def widen(self, near: Tensor) -> Tensor:
        """From the local context to the wide one, ``(B, C, H, W)`` both."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        x = F.gelu(self.enter(x))
        return self.leave(x * self.mix(self.widen(self.local(x))))


_FRAME = {
    **{f"{part}.weight": "dim dim 1 1" for part in ("enter", "mix", "leave")},
    **{f"{part}.bias": "dim" for part in ("enter", "mix", "leave", "local")},
}


@register
class LargeKernelAttention(_ConvAttention):
    """Large-kernel attention (Guo et al., VAN, arXiv 2202.09741): a large kernel decomposed into a local depthwise, a dilated
    depthwise and a 1x1 convolution; the map multiplies the values. Sees ``local + (kernel - 1) * dilation`` pixels a side.

    Args:
        dim: channels in and out.
        local: odd side of the first depthwise kernel.
        kernel: odd side of the dilated depthwise kernel.
        dilation: distance of its taps.
    """

    name = "large_kernel_attention"
    elastic = {"local": (3, 5), "kernel": (3, 5, 7), "dilation": (1, 2, 3)}
    layout = {
        **_FRAME,
        "local.weight": "dim 1 local@centre local@centre",
        "far.weight": "dim 1 kernel@centre kernel@centre",
        "far.bias": "dim",
    }

    def __init__(self, dim: int, local: int, kernel: int, dilation: int) -> None:
        super().__init__(dim, local)
        self.far = depthwise(dim, kernel, dilation)

    def widen(self, near: Tensor) -> Tensor:
        return self.far(near)

    @classmethod
    def check(cls, shape: tuple[int, ...], **sizes: int) -> None:
        odd(cls, local=sizes["local"], kernel=sizes["kernel"])
        positive(cls, dilation=sizes["dilation"])

    @classmethod
    def work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        written = height * width * sizes["dim"]
        return written * (3 * sizes["dim"] + sizes["local"] ** 2 + sizes["kernel"] ** 2), 5 * written


@register
class MultiScaleConvAttention(_ConvAttention):
    """Multi-scale convolutional attention (Guo et al., SegNeXt, arXiv 2209.08575): a local depthwise convolution, then
    parallel pairs of strips (1 x n and n x 1, n = 7, 11, 21) added to it, a 1x1, and the map multiplies the values.

    Args:
        dim: channels in and out.
        kernel: odd side of the local kernel.
        branches: pairs of strips, 0 to 3.
    """

    name = "multi_scale_conv_attention"
    elastic = {"kernel": (3, 5), "branches": (1, 2, 3)}
    layout = {
        **_FRAME,
        "local.weight": "dim 1 kernel@centre kernel@centre",
        **{f"wide.{i}.weight": f"dim 1 1 {side}" for i, side in enumerate(STRIPS)},
        **{f"tall.{i}.weight": f"dim 1 {side} 1" for i, side in enumerate(STRIPS)},
        **{f"{way}.{i}.bias": "dim" for way in ("wide", "tall") for i in range(len(STRIPS))},
    }

    def __init__(self, dim: int, kernel: int, branches: int) -> None:
        super().__init__(dim, kernel)
        sides = STRIPS[:branches]
        self.wide = nn.ModuleList(nn.Conv2d(dim, dim, (1, n), padding=(0, n // 2), groups=dim) for n in sides)
        self.tall = nn.ModuleList(nn.Conv2d(dim, dim, (n, 1), padding=(n // 2, 0), groups=dim) for n in sides)

    def widen(self, near: Tensor) -> Tensor:
        y = near
        for wide, tall in zip(self.wide, self.tall, strict=True):
            y = y + tall(wide(near))
        return y

    @classmethod
    def check(cls, shape: tuple[int, ...], **sizes: int) -> None:
        odd(cls, kernel=sizes["kernel"])
        require(sizes["branches"] <= len(STRIPS), cls, "branches", sizes["branches"], f"0 to {len(STRIPS)}")

    @classmethod
    def work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        written, branches = height * width * sizes["dim"], sizes["branches"]
        taps = sizes["kernel"] ** 2 + 2 * sum(STRIPS[:branches])
        return written * (3 * sizes["dim"] + taps), written * (4 + 2 * branches)
