"""Evidence for ResNet's bottlenecks."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from search_spaces.operators.bottleneck import Bottleneck, BottleneckReduction
from search_spaces.references.registry import degenerate, reference
from search_spaces.references.slow import convolve, mix, normalise


@reference("bottleneck")
def bottleneck(op: Any, x: Tensor) -> Tensor:
    x = normalise(mix(x, op.down), op.down_norm).clamp(min=0)
    x = normalise(convolve(x, op.conv.weight), op.conv_norm).clamp(min=0)
    return mix(x, op.up)


@reference("bottleneck_reduction")
def bottleneck_reduction(op: BottleneckReduction, x: Tensor) -> Tensor:
    stride = op.conv.stride[0]
    y = normalise(mix(x, op.down), op.down_norm).clamp(min=0)
    y = convolve(y, op.conv.weight)[:, :, ::stride, ::stride]
    y = normalise(mix(normalise(y, op.conv_norm).clamp(min=0), op.up), op.up_norm)
    return (y + normalise(mix(x[:, :, ::stride, ::stride], op.skip), op.skip_norm)).clamp(min=0)


def bias_only(norm: nn.BatchNorm2d) -> None:
    """Makes a batch norm in evaluation mode do nothing."""
    assert norm.running_var is not None
    norm.running_var.fill_(1 - norm.eps)


@degenerate("bottleneck", "one centre tap and norms that do nothing: two 1x1 layers with a matrix between")
def one_tap() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    op = Bottleneck(dim=8, inner=4, kernel=3).double().eval()
    with torch.no_grad():
        bias_only(op.down_norm)
        bias_only(op.conv_norm)
        centre = op.conv.weight[:, :, 1:2, 1:2].clone()
        op.conv.weight.zero_()
        op.conv.weight[:, :, 1:2, 1:2] = centre
        x = torch.randn(2, 8, 9, 6, dtype=torch.float64)
        return op(x), mix(F.relu(F.conv2d(F.relu(mix(x, op.down)), centre)), op.up)


@degenerate("bottleneck_reduction", "stride 1, equal widths, identity shortcut: ReLU of the input and the bottleneck")
def identity_shortcut() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    op = BottleneckReduction(dim_in=8, dim_out=8, inner=4, stride=1).double().eval()
    block = Bottleneck(dim=8, inner=4, kernel=3).double().eval()
    with torch.no_grad():
        block.load_state_dict(
            {k: v for k, v in op.state_dict().items() if not k.startswith(("up_norm", "skip"))}
            | {"up.bias": torch.zeros(8)}
        )
        op.skip.weight.copy_(torch.eye(8)[:, :, None, None])
        bias_only(op.skip_norm)
        bias_only(op.up_norm)
        x = torch.randn(2, 8, 9, 6, dtype=torch.float64)
        return op(x), F.relu(x + block(x))
