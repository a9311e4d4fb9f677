"""Strided convolutions that cover every pixel of an image of any size: the parts of stems and down-sampling."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def covered(side: int, stride: int) -> int:
    """Patches of ``stride`` that cover ``side``, the last one partly if need be."""
    return -(-side // stride)


class PatchConv(nn.Conv2d):
    """Convolution of any kernel and stride with `covered` outputs a side. Windows are centred on their patches, so the centre
    of a larger kernel reads what a smaller one reads; zeros stand around the image."""

    def __init__(self, channels: int, dim: int, kernel: int, stride: int, bias: bool = True) -> None:
        super().__init__(channels, dim, kernel, stride, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        kernel, stride = self.kernel_size[0], self.stride[0]
        before = (kernel - stride + 1) // 2
        sides = int(x.shape[2]), int(x.shape[3])
        ends = [(covered(side, stride) - 1) * stride + kernel - before - side for side in sides]
        if before >= 0 and all((side + 2 * before - kernel) // stride + 1 == covered(side, stride) for side in sides):
            return F.conv2d(x, self.weight, self.bias, stride, before)  # runtimes pad while they convolve
        return F.conv2d(F.pad(x, (before, ends[1], before, ends[0])), self.weight, self.bias, stride)


class CrossScaleConv(nn.Module):
    """One convolution for every kernel, all of one stride, side by side: CrossFormer's embedding (Wang et al., arXiv
    2108.00154). Convolution ``n`` makes ``shares[n]`` channels of each group of ``sum(shares)``, so a narrower one is the
    first groups of a wider one and no channel changes its kernel."""

    def __init__(self, channels: int, dim: int, kernels: tuple[int, ...], shares: tuple[int, ...], stride: int) -> None:
        super().__init__()
        self.groups, self.shares = dim // sum(shares), shares
        self.scales = nn.ModuleList(
            PatchConv(channels, self.groups * share, kernel, stride)
            for kernel, share in zip(kernels, shares, strict=True)
        )

    def forward(self, x: Tensor) -> Tensor:
        parts = zip(self.scales, self.shares, strict=True)
        return torch.cat([conv(x).unflatten(1, (self.groups, share)) for conv, share in parts], 2).flatten(1, 2)
