"""Evidence for convolutions of some channels."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from search_spaces.operators.fused_mbconv import DenseConv
from search_spaces.operators.partial_conv import InceptionConv, PartialConv
from search_spaces.references.registry import degenerate, reference
from search_spaces.references.slow import convolve, convolve_depthwise


@reference("partial_conv")
def partial_conv(op: Any, x: Tensor) -> Tensor:
    y = x.clone()
    y[:, : op.part] = convolve(x[:, : op.part], op.conv.weight, op.conv.bias)
    return y


@reference("inception_conv")
def inception_conv(op: Any, x: Tensor) -> Tensor:
    """Channel by channel, each with its own kernel."""
    channels = []
    for c in range(x.shape[1]):
        image, i = x[:, c : c + 1], c // 3
        if i < op.part:
            conv = (op.square, op.row, op.column)[c % 3]
            image = convolve(image, conv.weight[i : i + 1], conv.bias[i : i + 1])
        channels.append(image)
    return torch.cat(channels, 1)


@degenerate("partial_conv", "all channels: the dense convolution")
def all_channels() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    partial = PartialConv(dim=8, part=8, kernel=5).double()
    dense = DenseConv(dim=8, kernel=5, dilation=1).double()
    dense.load_state_dict(partial.state_dict())
    x = torch.randn(2, 8, 9, 6, dtype=torch.float64)
    return partial(x), dense(x)


@degenerate("inception_conv", "rows and columns of one tap: a depthwise convolution of every third channel")
def square_only() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    op = InceptionConv(dim=8, part=2, kernel=3, band=7).double()
    for conv in (op.row, op.column):
        conv.weight.zero_()
        conv.weight.flatten(1)[:, 3] = 1
        conv.bias.zero_()  # type: ignore[union-attr]
    x = torch.randn(2, 8, 9, 6, dtype=torch.float64)
    wanted = x.clone()
    wanted[:, [0, 3]] = convolve_depthwise(x[:, [0, 3]], op.square.weight, op.square.bias)
    return op(x), wanted
