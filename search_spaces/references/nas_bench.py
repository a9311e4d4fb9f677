"""The benchmarks' operators, term by term."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from search_spaces.operators.nas_bench import (
    BasicBlock,
    ConvNormStem,
    ConvPooledHead,
    NormPooledHead,
    PlainPooling,
    ProjectedSkip,
    ReluConvNorm,
    Zero,
)
from search_spaces.references.inverted_residual import normed, pointwise
from search_spaces.references.registry import degenerate, reference


def convolved(conv: nn.Conv2d, x: Tensor) -> Tensor:
    """A dense convolution without bias, as products with unfolded patches."""
    kernel, stride, (height, width) = conv.kernel_size[0], conv.stride[0], x.shape[2:]
    patches = F.unfold(x, kernel, padding=kernel // 2, stride=stride)
    out = conv.weight.flatten(1) @ patches
    return out.unflatten(2, ((height - 1) // stride + 1, (width - 1) // stride + 1))


@reference("conv_norm_stem")
def slow_stem(op: ConvNormStem, x: Tensor) -> Tensor:
    y = normed(op.norm, convolved(op.conv, x))
    return y.clamp(0, 6) if op.active else y


@reference("relu_conv_norm")
def slow_relu_conv_norm(op: ReluConvNorm, x: Tensor) -> Tensor:
    return normed(op.norm, convolved(op.conv, x.clamp(min=0)))


@reference("plain_pooling")
def slow_pooling(op: PlainPooling, x: Tensor) -> Tensor:
    out = torch.zeros_like(x)
    height, width = x.shape[2:]
    for i in range(height):
        for j in range(width):
            out[:, :, i, j] = x[:, :, max(i - 1, 0) : i + 2, max(j - 1, 0) : j + 2].mean((2, 3))
    return out


@reference("zero")
def zeros(op: Zero, x: Tensor) -> Tensor:
    return torch.zeros_like(x)


@reference("projected_skip")
def slow_skip(op: ProjectedSkip, x: Tensor) -> Tensor:
    return normed(op.norm, pointwise(op.conv.weight, x[:, :, ::2, ::2]))


@reference("basic_block")
def slow_block(op: BasicBlock, x: Tensor) -> Tensor:
    y = normed(op.first_norm, convolved(op.first, x.clamp(min=0)))
    y = normed(op.second_norm, convolved(op.second, y.clamp(min=0)))
    pooled = torch.zeros_like(y[:, :1]).repeat(1, x.shape[1], 1, 1)
    for i in range(y.shape[2]):
        for j in range(y.shape[3]):
            pooled[:, :, i, j] = x[:, :, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2].mean((2, 3))
    return y + pointwise(op.skip.weight, pooled)


@reference("norm_pooled_head")
def slow_norm_head(op: NormPooledHead, x: Tensor) -> Tensor:
    pooled = normed(op.norm, x).clamp(min=0).flatten(2).sum(2) / (x.shape[2] * x.shape[3])
    return pooled @ op.classify.weight.T + op.classify.bias


@reference("conv_pooled_head")
def slow_conv_head(op: ConvPooledHead, x: Tensor) -> Tensor:
    features = normed(op.norm, pointwise(op.conv.weight, x)).clamp(0, 6)
    pooled = features.flatten(2).sum(2) / (x.shape[2] * x.shape[3])
    return pooled @ op.classify.weight.T + op.classify.bias


@degenerate("relu_conv_norm", "identity kernel, unit norm, positive input: the input")
def unit_convolution() -> tuple[Tensor, Tensor]:
    op = ReluConvNorm(dim=4, kernel=3).double().eval()
    nn.init.dirac_(op.conv.weight)
    x = torch.rand(2, 4, 5, 6, dtype=torch.float64)
    return op(x) * (1 + op.norm.eps) ** 0.5, x


@degenerate("plain_pooling", "constant image: itself, borders included")
def constant_image() -> tuple[Tensor, Tensor]:
    x = torch.full((1, 3, 5, 4), 2.5, dtype=torch.float64)
    return PlainPooling(dim=3)(x), x


@degenerate("zero", "any image: zeros")
def nothing() -> tuple[Tensor, Tensor]:
    x = torch.rand(1, 3, 4, 4)
    return Zero(dim=3)(x) + 1, torch.ones_like(x)
