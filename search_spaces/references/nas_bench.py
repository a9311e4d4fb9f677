"""The benchmarks' operators, term by term."""

from __future__ import annotations

import torch
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
from search_spaces.references.registry import degenerate, reference
from search_spaces.references.slow import convolve, mix, normalise


def convolved(conv: nn.Conv2d, x: Tensor) -> Tensor:
    """A dense convolution without bias: the pixels of its stride."""
    return convolve(x, conv.weight)[:, :, :: conv.stride[0], :: conv.stride[0]]


@reference("conv_norm_stem")
def slow_stem(op: ConvNormStem, x: Tensor) -> Tensor:
    y = normalise(convolved(op.conv, x), op.norm)
    return y.clamp(0, 6) if op.active else y


@reference("relu_conv_norm")
def slow_relu_conv_norm(op: ReluConvNorm, x: Tensor) -> Tensor:
    return normalise(convolved(op.conv, x.clamp(min=0)), op.norm)


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
    return normalise(mix(x[:, :, ::2, ::2], op.conv), op.norm)


@reference("basic_block")
def slow_block(op: BasicBlock, x: Tensor) -> Tensor:
    y = normalise(convolved(op.first, x.clamp(min=0)), op.first_norm)
    y = normalise(convolved(op.second, y.clamp(min=0)), op.second_norm)
    pooled = torch.zeros_like(y[:, :1]).repeat(1, x.shape[1], 1, 1)
    for i in range(y.shape[2]):
        for j in range(y.shape[3]):
            pooled[:, :, i, j] = x[:, :, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2].mean((2, 3))
    return y + mix(pooled, op.skip)


@reference("norm_pooled_head")
def slow_norm_head(op: NormPooledHead, x: Tensor) -> Tensor:
    pooled = normalise(x, op.norm).clamp(min=0).flatten(2).sum(2) / (x.shape[2] * x.shape[3])
    return pooled @ op.classify.weight.T + op.classify.bias


@reference("conv_pooled_head")
def slow_conv_head(op: ConvPooledHead, x: Tensor) -> Tensor:
    features = normalise(mix(x, op.conv), op.norm).clamp(0, 6)
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
