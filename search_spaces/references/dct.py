"""The dynamic spectrum mixer against sums over all cosines."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from search_spaces.operators.dct import DynamicSpectrumMixer
from search_spaces.references.registry import degenerate, reference


@reference("dct_mixer")
def dct_mixer(op: DynamicSpectrumMixer, x: Tensor) -> Tensor:
    """One cosine wave of the image after another: its share of the image, weighted, and added up."""
    batch, dim, height, width = x.shape
    units = F.gelu(F.linear(x.flatten(2).sum(2) / (height * width), op.squeeze.weight, op.squeeze.bias))
    weights = F.linear(units, op.weigh.weight, op.weigh.bias).reshape(batch, op.bands, dim)
    down, across = torch.arange(height).double() + 0.5, torch.arange(width).double() + 0.5
    y = torch.zeros_like(x)
    for u in range(height):
        for v in range(width):
            wave = (math.pi * u * down / height).cos()[:, None] * (math.pi * v * across / width).cos()
            wave = wave / wave.norm()
            radius = math.sqrt(((u / height) ** 2 + (v / width) ** 2) / 2)
            weight = sum(weights[:, k] * math.cos(math.pi * k * radius) for k in range(op.bands))
            y += ((x * wave).sum((2, 3)) * weight)[:, :, None, None] * wave
    return y


@degenerate("dct_mixer", "band weights 1, 0, 0, ...: identity")
def unit_weights() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    op = DynamicSpectrumMixer(dim=6, bands=4, hidden=5).double()
    with torch.no_grad():
        op.weigh.weight.zero_()
        op.weigh.bias.zero_()
        op.weigh.bias[:6] = 1.0
        x = torch.randn(2, 6, 7, 10).double()
        return op(x), x


@degenerate("dct_mixer", "a constant image passes with the sum of its weights")
def constant_image() -> tuple[Tensor, Tensor]:
    """All of it lies at radius 0, where every band responds with 1."""
    torch.manual_seed(0)
    op = DynamicSpectrumMixer(dim=6, bands=4, hidden=5).double()
    with torch.no_grad():
        x = torch.randn(2, 6, 1, 1).double().expand(2, 6, 7, 10)
        weights = op.weigh(F.gelu(op.squeeze(x[:, :, 0, 0]))).reshape(2, 4, 6).sum(1)
        return op(x), weights[:, :, None, None] * x
