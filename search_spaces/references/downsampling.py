"""Down-sampling patch by patch."""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor

from search_spaces.operators.downsampling import (
    AveragePoolDownsample,
    CrossScaleDownsample,
    MaxPoolDownsample,
    PatchMerging,
    ResidualReduction,
)
from search_spaces.operators.frame import StridedConv
from search_spaces.operators.patches import PatchConv
from search_spaces.references.frame import normalised, windows
from search_spaces.references.mlp import fill
from search_spaces.references.registry import degenerate, reference


@reference("patch_merging")
def patch_merging(op: PatchMerging, x: Tensor) -> Tensor:
    rows, columns = -(-x.shape[2] // 2), -(-x.shape[3] // 2)
    x, y = F.pad(x, (0, 1, 0, 1)), torch.empty(x.shape[0], op.reduce.weight.shape[0], rows, columns, dtype=x.dtype)
    for i in range(rows):
        for j in range(columns):
            token = torch.cat([x[:, :, 2 * i + di, 2 * j + dj] for di, dj in ((0, 0), (1, 0), (0, 1), (1, 1))], 1)
            y[:, :, i, j] = normalised(token, op.norm) @ op.reduce.weight.T
    return y


def _pooled(x: Tensor, window: int, mean: bool) -> Tensor:
    """Window after window, only the pixels inside the image."""
    rows, columns, before = -(-x.shape[2] // 2), -(-x.shape[3] // 2), window // 3
    y = torch.empty(x.shape[0], x.shape[1], rows, columns, dtype=x.dtype)
    for i in range(rows):
        for j in range(columns):
            top, left = 2 * i - before, 2 * j - before
            part = x[:, :, max(top, 0) : top + window, max(left, 0) : left + window].flatten(2)
            y[:, :, i, j] = part.mean(2) if mean else part.amax(2)
    return y


@reference("average_pool_downsample")
def average_pool_downsample(op: AveragePoolDownsample, x: Tensor) -> Tensor:
    return windows(_pooled(normalised(x, op.norm), op.window, True), op.project.weight, op.project.bias, 1, 0)


@reference("max_pool_downsample")
def max_pool_downsample(op: MaxPoolDownsample, x: Tensor) -> Tensor:
    return windows(_pooled(normalised(x, op.norm), op.window, False), op.project.weight, op.project.bias, 1, 0)


@reference("residual_reduction")
def residual_reduction(op: ResidualReduction, x: Tensor) -> Tensor:
    y = windows(normalised(x, op.norm), op.conv.weight, op.conv.bias, 2, op.conv.weight.shape[2] // 2)
    return y if op.shortcut is None else y + windows(_pooled(x, 2, True), op.shortcut.weight, op.shortcut.bias, 1, 0)


@reference("cross_scale_downsample")
def cross_scale_downsample(op: CrossScaleDownsample, x: Tensor) -> Tensor:
    x, scales = normalised(x, op.norm), cast(list[PatchConv], list(op.patches.scales))
    parts = [windows(x, conv.weight, conv.bias, 2, (conv.weight.shape[2] - 2) // 2) for conv in scales]
    return torch.stack(parts, 2).flatten(1, 2)  # the channels take turns


@degenerate("patch_merging", "one patch, normed: a 2x2 convolution")
def merging_is_a_convolution() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    op, token = PatchMerging(dim_in=4, dim_out=6).double(), torch.randn(2, 16).double()

    def as_image(token: Tensor) -> Tensor:
        return token.unflatten(1, (2, 2, 4)).permute(0, 3, 2, 1)  # a merged token goes down the columns first

    with torch.no_grad():
        normed = as_image(normalised(token, op.norm))
        return op(as_image(token)), F.conv2d(normed, as_image(op.reduce.weight))


@degenerate("average_pool_downsample", "an image that is constant over 2x2 patches: norm and 1x1 of the small image")
def average_of_constant_patches() -> tuple[Tensor, Tensor]:
    return _constant_patches(AveragePoolDownsample(dim_in=4, dim_out=6, window=2))


@degenerate("max_pool_downsample", "an image that is constant over 2x2 patches: norm and 1x1 of the small image")
def maximum_of_constant_patches() -> tuple[Tensor, Tensor]:
    return _constant_patches(MaxPoolDownsample(dim_in=4, dim_out=6, window=2))


def _constant_patches(op: AveragePoolDownsample | MaxPoolDownsample) -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    op, small = op.double(), torch.randn(2, 4, 5, 3).double()
    large = small.repeat_interleave(2, 2).repeat_interleave(2, 3)[:, :, :-1]  # 9 rows: the last patch is cut
    with torch.no_grad():
        return op(large), op.project(op.norm(small))


@degenerate("residual_reduction", "no shortcut: strided_conv")
def no_shortcut() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    op, plain = ResidualReduction(dim_in=4, dim_out=6, kernel=3, skip=0), StridedConv(dim_in=4, dim_out=6)
    plain.load_state_dict(op.state_dict())
    x = torch.randn(2, 4, 9, 6).double()
    with torch.no_grad():
        return op.double()(x), plain.double()(x)


@degenerate("residual_reduction", "convolution 0: average pooling and 1x1")
def shortcut_only() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    op, x = ResidualReduction(dim_in=4, dim_out=6, kernel=5, skip=1).double(), torch.randn(2, 4, 8, 6).double()
    with torch.no_grad():
        fill(op.conv, 0.0, 0.0)
        assert op.shortcut is not None
        return op(x), op.shortcut(F.avg_pool2d(x, 2))


@degenerate("cross_scale_downsample", "one kernel size: a 2x2 convolution of stride 2")
def one_scale() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    op, x = CrossScaleDownsample(dim_in=4, dim_out=6, scales=1).double(), torch.randn(2, 4, 8, 6).double()
    with torch.no_grad():
        weight, bias = (torch.stack([c.get_parameter(p) for c in op.patches.scales], 1) for p in ("weight", "bias"))
        return op(x), F.conv2d(normalised(x, op.norm), weight.flatten(0, 1), bias.flatten(), stride=2)
