"""Evidence for the multi-head convolution."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from search_spaces.operators.multi_head_conv import MultiHeadConv
from search_spaces.references.registry import degenerate, reference
from search_spaces.references.slow import convolve, mix, normalise


@reference("multi_head_conv")
def multi_head_conv(op: Any, x: Tensor) -> Tensor:
    y = convolve(x, op.heads.weight, groups=x.shape[1] // op.heads.weight.shape[1])
    return mix(normalise(y, op.norm).clamp(min=0), op.project)


@degenerate("multi_head_conv", "merged: the same without a norm")
def merged() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    op = MultiHeadConv(dim=16, head_dim=4, expansion=2, kernel=3).double().eval()
    for tensor in (op.norm.weight, op.norm.bias, op.norm.running_mean, op.norm.running_var):
        tensor.copy_(0.5 + torch.rand_like(tensor))  # type: ignore[union-attr, arg-type]
    x = torch.randn(2, 16, 9, 6, dtype=torch.float64)
    plain = op.merged()
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in plain.modules())
    return op(x), plain(x)


@degenerate("multi_head_conv", "one head: dense convolution, norm, ReLU, pointwise")
def one_head() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    op = MultiHeadConv(dim=8, head_dim=8, expansion=1, kernel=3).double().eval()
    x = torch.randn(2, 8, 9, 6, dtype=torch.float64)
    return op(x), mix(normalise(convolve(x, op.heads.weight), op.norm).clamp(min=0), op.project)
