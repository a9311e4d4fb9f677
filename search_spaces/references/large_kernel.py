"""Evidence for the large kernels."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from search_spaces.operators.large_kernel import LargeKernelAttention, LargeKernelConv, MultiScaleConvAttention
from search_spaces.references.registry import degenerate, reference
from search_spaces.references.slow import convolve, convolve_depthwise, gelu, mix, normalise


@reference("large_kernel_conv")
def large_kernel_conv(op: Any, x: Tensor) -> Tensor:
    y = normalise(convolve_depthwise(x, op.large.weight), op.large_norm)
    for i, conv in enumerate(op.small):
        y = y + normalise(convolve_depthwise(x, conv.weight, dilation=i + 1), op.small_norm[i])
    return y


@reference("large_kernel_attention")
def large_kernel_attention(op: Any, x: Tensor) -> Tensor:
    x = gelu(mix(x, op.enter))
    near = convolve_depthwise(x, op.local.weight, op.local.bias)
    far = convolve_depthwise(near, op.far.weight, op.far.bias, op.far.dilation[0])
    return mix(x * mix(far, op.mix), op.leave)


@reference("multi_scale_conv_attention")
def multi_scale_conv_attention(op: Any, x: Tensor) -> Tensor:
    x, channels = gelu(mix(x, op.enter)), op.local.out_channels
    near = convolve_depthwise(x, op.local.weight, op.local.bias)
    total = near
    for wide, tall in zip(op.wide, op.tall, strict=True):
        row = convolve(near, wide.weight, wide.bias, groups=channels)
        total = total + convolve(row, tall.weight, tall.bias, groups=channels)
    return mix(x * mix(total, op.mix), op.leave)


def _random_norms(op: torch.nn.Module) -> None:
    for module in op.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            for tensor in (module.weight, module.bias, module.running_mean, module.running_var):
                tensor.copy_(0.5 + torch.rand_like(tensor))  # type: ignore[union-attr, arg-type]


@degenerate("large_kernel_conv", "merged: one plain depthwise kernel")
def merged() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    op = LargeKernelConv(dim=8, kernel=31, branches=6).double().eval()
    _random_norms(op)
    x = torch.randn(2, 8, 40, 37, dtype=torch.float64)
    plain = op.merged()
    assert isinstance(plain, torch.nn.Conv2d)
    return op(x), plain(x)


@degenerate("large_kernel_conv", "no small kernels and a fresh norm: a depthwise convolution")
def no_branches() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    op = LargeKernelConv(dim=8, kernel=13, branches=0).double().eval()
    x = torch.randn(2, 8, 9, 6, dtype=torch.float64)
    return op(x), convolve_depthwise(x, op.large.weight) / (1 + op.large_norm.eps) ** 0.5


@degenerate("large_kernel_attention", "impulse: sees the stated square and nothing outside")
def impulse() -> tuple[Tensor, Tensor]:
    op = LargeKernelAttention(dim=1, local=5, kernel=7, dilation=3).double()
    for parameter in op.parameters():
        parameter.fill_(1.0 if parameter.ndim > 1 else 0.0)
    x = torch.zeros(1, 1, 41, 41, dtype=torch.float64)
    x[0, 0, 20, 20] = 1
    seen = op.widen(op.local(x))
    wanted = torch.zeros_like(x)
    reach = (5 + (7 - 1) * 3) // 2
    wanted[:, :, 20 - reach : 21 + reach, 20 - reach : 21 + reach] = 1
    return (seen > 0).double(), wanted


@degenerate("large_kernel_attention", "map forced to one: pointwise, GELU, pointwise")
def open_map() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    op = LargeKernelAttention(dim=8, local=5, kernel=7, dilation=3).double()
    op.mix.weight.zero_()
    op.mix.bias.fill_(1.0)  # type: ignore[union-attr]
    x = torch.randn(2, 8, 9, 6, dtype=torch.float64)
    return op(x), mix(gelu(mix(x, op.enter)), op.leave)


@degenerate("multi_scale_conv_attention", "no strips: large-kernel attention whose far kernel is one centre tap")
def no_strips() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    strips = MultiScaleConvAttention(dim=8, kernel=5, branches=0).double()
    large = LargeKernelAttention(dim=8, local=5, kernel=3, dilation=2).double()
    large.load_state_dict(strips.state_dict(), strict=False)
    large.far.weight.zero_()
    large.far.weight[:, :, 1, 1] = 1
    large.far.bias.zero_()  # type: ignore[union-attr]
    x = torch.randn(2, 8, 9, 6, dtype=torch.float64)
    return strips(x), large(x)
