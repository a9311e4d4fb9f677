"""Attention over parallel branches: splits of a grouped convolution, and kernels of growing reach."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from search_spaces.operators.base import Operator
from search_spaces.operators.convolutions import depthwise, pointwise
from search_spaces.operators.legal import odd, positive, require
from search_spaces.operators.registry import register

MOST_PATHS = 6
_NORM = ("weight", "bias", "running_mean", "running_var")


@register
class SplitAttention(Operator):
    """Split attention (Zhang et al., ResNeSt, arXiv 2004.08955). A 1x1 makes ``radix`` splits, each convolved by itself;
    from the mean of their sum, a softmax over the splits weighs them channel by channel. Radix 1 is squeeze-excite.

    Args:
        dim: channels in and out.
        radix: number of splits.
        split: channels of a split.
        inner: channels that a split's convolution gives, and the sum has; a quarter of them in the squeeze.
        kernel: odd side of the kernel.
    """

    name, role, family, prenorm = "split_attention", "mixer", "conv", "batch"
    elastic = {"radix": (1, 2, 4), "split": (8, 16), "inner": (16, 32), "kernel": (3, 5)}
    layout = {
        "enter.weight": "(radix split) dim 1 1",
        "enter.bias": "(radix split)",
        "conv.weight": "(radix inner) split kernel@centre kernel@centre",
        **{f"norm.{part}": "(radix inner)" for part in _NORM},
        "squeeze.weight": "reduced inner 1 1",
        "squeeze.bias": "reduced",
        "excite.weight": "(radix inner) reduced 1 1",
        "excite.bias": "(radix inner)",
        "leave.weight": "dim inner 1 1",
        "leave.bias": "dim",
    }

    def __init__(self, dim: int, radix: int, split: int, inner: int, kernel: int) -> None:
        super().__init__()
        self.radix = radix
        self.enter = pointwise(dim, radix * split)
        self.conv = nn.Conv2d(radix * split, radix * inner, kernel, padding=kernel // 2, groups=radix, bias=False)
        self.norm = nn.BatchNorm2d(radix * inner)
        self.squeeze = pointwise(inner, inner // 4)
        self.excite = pointwise(inner // 4, radix * inner)
        self.leave = pointwise(inner, dim)

    def attend(self, x: Tensor) -> Tensor:
        """``(B, radix * split, H, W)`` -> ``(B, inner, H, W)``."""
        x = torch.relu(self.norm(self.conv(x))).unflatten(1, (self.radix, -1))
        gate = self.excite(torch.relu(self.squeeze(x.sum(1).mean((2, 3), keepdim=True))))
        gate = gate.unflatten(1, (self.radix, -1))
        return (x * (gate.softmax(1) if self.radix > 1 else gate.sigmoid())).sum(1)

    def forward(self, x: Tensor) -> Tensor:
        return self.leave(self.attend(torch.relu(self.enter(x))))

    @classmethod
    def axes(cls, **sizes: int) -> dict[str, int]:
        return {**sizes, "reduced": sizes["inner"] // 4}

    @classmethod
    def check(cls, shape: tuple[int, ...], **sizes: int) -> None:
        positive(cls, radix=sizes["radix"])
        require(sizes["inner"] >= 4, cls, "inner", sizes["inner"], "4 or more")
        odd(cls, kernel=sizes["kernel"])

    @classmethod
    def work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        tokens, dim, radix, split, inner = height * width, *(sizes[s] for s in ("dim", "radix", "split", "inner"))
        reduced = inner // 4
        macs = dim * radix * split + radix * inner * split * sizes["kernel"] ** 2 + inner * dim
        written = radix * split + radix * inner + dim
        return tokens * macs + (1 + radix) * inner * reduced, tokens * written + reduced + radix * inner


@register
class SelectiveKernel(Operator):
    """Selective kernels (Li et al., SKNet, arXiv 1903.06586): parallel depthwise convolutions of growing dilation; from the
    mean of their sum, a softmax over them weighs them channel by channel. A 1x1 follows.

    Args:
        dim: channels in and out; a quarter of them in the squeeze.
        paths: parallel convolutions, 1 to 6; number i has dilation i + 1.
        kernel: odd side of their kernels.
    """

    name, role, family, prenorm = "selective_kernel", "mixer", "conv", "batch"
    elastic = {"paths": (1, 2, 3), "kernel": (3, 5, 7)}
    layout = {
        **{f"convs.{i}.weight": "dim 1 kernel@centre kernel@centre" for i in range(MOST_PATHS)},
        **{f"norms.{i}.{part}": "dim" for i in range(MOST_PATHS) for part in _NORM},
        "squeeze.weight": "reduced dim 1 1",
        "squeeze.bias": "reduced",
        "select.weight": "(paths dim) reduced 1 1",
        "select.bias": "(paths dim)",
        "leave.weight": "dim dim 1 1",
        "leave.bias": "dim",
    }

    def __init__(self, dim: int, paths: int, kernel: int) -> None:
        super().__init__()
        self.paths = paths
        self.convs = nn.ModuleList(depthwise(dim, kernel, i + 1, bias=False) for i in range(paths))
        self.norms = nn.ModuleList(nn.BatchNorm2d(dim) for _ in range(paths))
        self.squeeze = pointwise(dim, dim // 4)
        self.select = pointwise(dim // 4, paths * dim)
        self.leave = pointwise(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        paths = zip(self.convs, self.norms, strict=True)
        seen = torch.stack([torch.relu(norm(conv(x))) for conv, norm in paths], 1)
        weight = self.select(torch.relu(self.squeeze(seen.sum(1).mean((2, 3), keepdim=True))))
        return self.leave((seen * weight.unflatten(1, (self.paths, -1)).softmax(1)).sum(1))

    @classmethod
    def axes(cls, **sizes: int) -> dict[str, int]:
        return {**sizes, "reduced": sizes["dim"] // 4}

    @classmethod
    def check(cls, shape: tuple[int, ...], **sizes: int) -> None:
        require(1 <= sizes["paths"] <= MOST_PATHS, cls, "paths", sizes["paths"], f"1 to {MOST_PATHS}")
        require(sizes["dim"] >= 4, cls, "dim", sizes["dim"], "4 or more")
        odd(cls, kernel=sizes["kernel"])

    @classmethod
    def work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        tokens, dim, paths = height * width, sizes["dim"], sizes["paths"]
        squeeze = (1 + paths) * dim * (dim // 4), dim // 4 + paths * dim
        macs = tokens * dim * (paths * sizes["kernel"] ** 2 + dim)
        return macs + squeeze[0], tokens * dim * (paths + 1) + squeeze[1]
