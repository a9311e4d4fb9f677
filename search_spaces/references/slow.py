"""Slow forms of common layers for the references: sums over shifted pixels, and norms and activations by their definition."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def convolve(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    dilation: int = 1,
    groups: int = 1,
    margins: tuple[int, int, int, int] | None = None,
) -> Tensor:
    """Convolution as a sum over the taps of shifted images, one group after the other; same size of image.

    Args:
        x: ``(B, C, H, W)``.
        weight: ``(out, C / groups, kh, kw)``.
        bias: ``(out)``.
        dilation: distance of the taps.
        groups: of the channels, one after another.
        margins: zeros added left, right, top and bottom; the kernel is centred without them.
    """
    rows, columns = weight.shape[2:]
    if margins is None:
        tall, wide = rows // 2 * dilation, columns // 2 * dilation
        margins = (wide, wide, tall, tall)
    height, width = x.shape[2:]
    padded = F.pad(x, margins)
    parts = []
    for image, kernel in zip(padded.chunk(groups, 1), weight.chunk(groups, 0), strict=True):
        total = torch.zeros(x.shape[0], kernel.shape[0], height, width, dtype=x.dtype)
        for i in range(rows):
            for j in range(columns):
                shifted = image[:, :, i * dilation : i * dilation + height, j * dilation : j * dilation + width]
                total = total + (kernel[:, :, i, j] @ shifted.flatten(2)).unflatten(2, (height, width))
        parts.append(total)
    y = torch.cat(parts, 1)
    return y if bias is None else y + bias[:, None, None]


def convolve_depthwise(x: Tensor, weight: Tensor, bias: Tensor | None = None, dilation: int = 1) -> Tensor:
    """Depthwise convolution by `torch.nn.functional.unfold`: every pixel's neighbourhood times the channel's kernel."""
    side = weight.shape[-1]
    patches = F.unfold(x, side, dilation, side // 2 * dilation).unflatten(1, (x.shape[1], side * side))
    y = (patches * weight.flatten(1)[:, :, None]).sum(2).unflatten(2, x.shape[2:])
    return y if bias is None else y + bias[:, None, None]


def mix(x: Tensor, conv: nn.Conv2d) -> Tensor:
    """A 1x1 convolution as a matrix product, token by token."""
    y = x.movedim(1, -1) @ conv.weight[:, :, 0, 0].T
    return (y if conv.bias is None else y + conv.bias).movedim(-1, 1)


def normalise(x: Tensor, norm: nn.BatchNorm2d) -> Tensor:
    """Batch norm in evaluation mode, by its definition."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    mean, variance, gain, shift = (
        t[:, None, None] for t in (norm.running_mean, norm.running_var, norm.weight, norm.bias)
    )
    return (x - mean) / (variance + norm.eps).sqrt() * gain + shift


def gelu(x: Tensor) -> Tensor:
    """``x`` times the normal distribution function."""
    return x * 0.5 * (1 + torch.erf(x / math.sqrt(2)))


def swish(x: Tensor) -> Tensor:
    """``x`` times its logistic function."""
    return x / (1 + torch.exp(-x))


def gate_forced_open(gated: nn.Module, plain: nn.Module) -> tuple[Tensor, Tensor]:
    """Outputs of a block whose squeeze-excite is held at one, and of the same block without it, for images of 8 channels."""
    gated, plain = gated.double().eval(), plain.double().eval()
    gated.excite.weight.zero_()  # type: ignore[union-attr, operator]
    gated.excite.bias.fill_(50.0)  # type: ignore[union-attr, operator]
    plain.load_state_dict({k: v for k, v in gated.state_dict().items() if not k.startswith(("squeeze", "excite"))})
    x = torch.randn(2, 8, 9, 6, dtype=torch.float64)
    return gated(x), plain(x)


def squeeze_excite(x: Tensor, squeeze: nn.Conv2d, excite: nn.Conv2d) -> Tensor:
    """``x`` with each channel weighed from the means of all."""
    mean = x.flatten(2).mean(2)[:, :, None, None]
    return x / (1 + torch.exp(-mix(swish(mix(mean, squeeze)), excite)))
