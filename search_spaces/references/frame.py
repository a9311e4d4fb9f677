"""The frame of an image network: every window of a convolution by itself, norms and means by their definitions."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from search_spaces.operators.downsampling import ResidualReduction
from search_spaces.operators.frame import AttentionPooledHead, ConvStem, PooledHead, StridedConv
from search_spaces.operators.stems import OverlapStem
from search_spaces.references.mlp import gelu
from search_spaces.references.registry import degenerate, reference


def windows(x: Tensor, weight: Tensor, bias: Any, stride: int, before: int) -> Tensor:
    """A convolution whose first window starts ``before`` pixels outside, as many windows as patches of ``stride`` cover
    ``x``: one after another, from an image with wide borders."""
    kernel, border = weight.shape[2], weight.shape[2] + stride
    wide = F.pad(x, (border,) * 4)
    rows, columns = -(-x.shape[2] // stride), -(-x.shape[3] // stride)
    y = torch.empty(x.shape[0], weight.shape[0], rows, columns, dtype=x.dtype)
    for i in range(rows):
        for j in range(columns):
            top, left = border + i * stride - before, border + j * stride - before
            patch = wide[:, :, top : top + kernel, left : left + kernel]
            y[:, :, i, j] = patch.flatten(1) @ weight.flatten(1).T
    return y if bias is None else y + bias[:, None, None]


def normalised(x: Tensor, norm: Any, axis: int = 1) -> Tensor:
    """A layer norm over ``axis``, by its definition."""
    mean = x.mean(axis, keepdim=True)
    deviation = ((x - mean).square().mean(axis, keepdim=True) + norm.eps).sqrt()
    shape = [1] * x.ndim
    shape[axis] = -1
    return (x - mean) / deviation * norm.weight.reshape(shape) + norm.bias.reshape(shape)


@reference("conv_stem")
def conv_stem(op: ConvStem, x: Tensor) -> Tensor:
    x = windows(x, op.first.weight, op.first.bias, op.first.stride[0], 1)
    if op.second is not None:
        x = windows(gelu(x), op.second.weight, op.second.bias, 2, 1)
    return normalised(x, op.norm)


@reference("strided_conv")
def strided_conv(op: StridedConv, x: Tensor) -> Tensor:
    return windows(normalised(x, op.norm), op.conv.weight, op.conv.bias, 2, 1)


@reference("pooled_head")
def pooled_head(op: PooledHead, x: Tensor) -> Tensor:
    mean = x.flatten(2).sum(2) / (x.shape[2] * x.shape[3])
    return normalised(mean, op.norm) @ op.classify.weight.T + op.classify.bias


@reference("attention_pooled_head")
def attention_pooled_head(op: AttentionPooledHead, x: Tensor) -> Tensor:
    x = normalised(x, op.norm)
    total, weights = torch.zeros(x.shape[0], x.shape[1], dtype=x.dtype), torch.zeros(x.shape[0], 1, dtype=x.dtype)
    for i in range(x.shape[2]):
        for j in range(x.shape[3]):
            weight = (x[:, :, i, j] @ op.score.weight.T + op.score.bias).exp()
            total, weights = total + weight * x[:, :, i, j], weights + weight
    return total / weights @ op.classify.weight.T + op.classify.bias


@degenerate("conv_stem", "stride 2: overlap_stem with kernel 3")
def one_convolution() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    op, other = ConvStem(channels=3, dim=8, stride=2), OverlapStem(channels=3, dim=8, kernel=3, stride=2)
    other.load_state_dict({k.replace("first", "patches"): v for k, v in op.state_dict().items()})
    x = torch.randn(2, 3, 9, 6).double()
    with torch.no_grad():
        return op.double()(x), other.double()(x)


@degenerate("strided_conv", "residual_reduction with kernel 3 and no shortcut")
def plain_reduction() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    op, other = StridedConv(dim_in=4, dim_out=8), ResidualReduction(dim_in=4, dim_out=8, kernel=3, skip=0)
    other.load_state_dict(op.state_dict())
    x = torch.randn(2, 4, 9, 6).double()
    with torch.no_grad():
        return op.double()(x), other.double()(x)


@degenerate("pooled_head", "an image of one pixel: norm and classifier of that pixel")
def one_pixel() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    op, x = PooledHead(dim=8, classes=5).double(), torch.randn(2, 8, 1, 1).double()
    with torch.no_grad():
        return op(x), F.linear(normalised(x[:, :, 0, 0], op.norm), op.classify.weight, op.classify.bias)


@degenerate("attention_pooled_head", "equal scores: the classifier of the normed tokens' mean")
def equal_scores() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    op, x = AttentionPooledHead(dim=8, classes=5).double(), torch.randn(2, 8, 4, 3).double()
    with torch.no_grad():
        op.score.weight.zero_()
        return op(x), op.classify(normalised(x, op.norm).mean((2, 3)))
