"""The inverted residual, term by term."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from search_spaces.operators.inverted_residual import InvertedResidual
from search_spaces.references.registry import reference


def normed(norm: nn.BatchNorm2d, x: Tensor) -> Tensor:
    """Batch norm in evaluation mode, from its definition."""
    mean, var = norm.running_mean, norm.running_var
    assert mean is not None
    assert var is not None
    scale = norm.weight / (var + norm.eps).sqrt()
    return (x - mean[:, None, None]) * scale[:, None, None] + norm.bias[:, None, None]


def pointwise(weight: Tensor, x: Tensor) -> Tensor:
    """A 1x1 convolution as a sum over channels."""
    return torch.einsum("oc,bchw->bohw", weight[:, :, 0, 0], x)


@reference("inverted_residual")
def slow_inverted_residual(op: InvertedResidual, x: Tensor) -> Tensor:
    """1x1 convolutions as sums over channels, the depthwise one as a sum over shifted images."""
    y = x
    if op.expand is not None and op.expand_norm is not None:
        y = normed(op.expand_norm, pointwise(op.expand.weight, y)).clamp(0, 6)
    kernel, (height, width) = op.depthwise.kernel_size[0], y.shape[2:]
    padded = F.pad(y, [kernel // 2] * 4)
    moved = sum(
        op.depthwise.weight[:, 0, i, j, None, None] * padded[:, :, i : i + height, j : j + width]
        for i in range(kernel)
        for j in range(kernel)
    )
    assert isinstance(moved, Tensor)
    y = normed(op.depthwise_norm, moved[:, :, :: op.depthwise.stride[0], :: op.depthwise.stride[0]]).clamp(0, 6)
    y = normed(op.project_norm, pointwise(op.project.weight, y))
    return x + y if x.shape == y.shape else y
