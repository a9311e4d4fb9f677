"""Small convolution builders, and folding: a batch norm or a dilation disappears into the kernel before it."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def depthwise(channels: int, kernel: int, dilation: int = 1, bias: bool = True) -> nn.Conv2d:
    """Depthwise convolution of odd ``kernel`` that keeps the image's size."""
    padding = kernel // 2 * dilation
    return nn.Conv2d(channels, channels, kernel, padding=padding, dilation=dilation, groups=channels, bias=bias)


def pointwise(channels_in: int, channels_out: int, bias: bool = True) -> nn.Conv2d:
    """1x1 convolution."""
    return nn.Conv2d(channels_in, channels_out, 1, bias=bias)


def folded(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Weight and bias of the one convolution that equals ``conv`` followed by ``norm`` in evaluation mode."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    gain = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
    bias = -norm.running_mean if conv.bias is None else conv.bias - norm.running_mean
    return conv.weight * gain[:, None, None, None], norm.bias + gain * bias


def dense_kernel(weight: Tensor, dilation: int, side: int) -> Tensor:
    """A dilated kernel ``(out, in, k, k)`` written as one of ``side`` without dilation, zeros between its taps."""
    taps = weight.shape[-1]
    dense = weight.new_zeros(*weight.shape[:2], (taps - 1) * dilation + 1, (taps - 1) * dilation + 1)
    dense[..., ::dilation, ::dilation] = weight
    margin = (side - dense.shape[-1]) // 2
    return F.pad(dense, (margin, margin, margin, margin))


def with_weights(conv: nn.Conv2d, weight: Tensor, bias: Tensor) -> nn.Conv2d:
    """``conv`` with a copy of these weights."""
    conv = conv.to(weight)
    conv.load_state_dict({"weight": weight.detach(), "bias": bias.detach()})
    return conv
