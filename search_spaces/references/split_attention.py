"""Evidence for split attention and selective kernels."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from search_spaces.operators.split_attention import SelectiveKernel, SplitAttention
from search_spaces.references.registry import degenerate, reference
from search_spaces.references.slow import convolve, convolve_depthwise, mix, normalise


def _weighed(branches: list[Tensor], logits: list[Tensor]) -> Tensor:
    """The branches weighed by a softmax over their logits, channel by channel."""
    total = sum(logit.exp() for logit in logits)
    return sum(branch * logit.exp() / total for branch, logit in zip(branches, logits, strict=True))  # type: ignore[return-value]


def _logits(branches: list[Tensor], squeeze: Any, excite: Any) -> list[Tensor]:
    mean = sum(branch.flatten(2).mean(2) for branch in branches)
    hidden = mix(mean[:, :, None, None], squeeze).clamp(min=0)  # type: ignore[index]
    return list(mix(hidden, excite).chunk(len(branches), 1))


@reference("split_attention")
def split_attention(op: Any, x: Tensor) -> Tensor:
    x = mix(x, op.enter).clamp(min=0)
    branches = normalise(convolve(x, op.conv.weight, groups=op.radix), op.norm).clamp(min=0).chunk(op.radix, 1)
    logits = _logits(list(branches), op.squeeze, op.excite)
    if op.radix == 1:
        return mix(branches[0] / (1 + (-logits[0]).exp()), op.leave)
    return mix(_weighed(list(branches), logits), op.leave)


@reference("selective_kernel")
def selective_kernel(op: Any, x: Tensor) -> Tensor:
    branches = [
        normalise(convolve_depthwise(x, conv.weight, dilation=i + 1), norm).clamp(min=0)
        for i, (conv, norm) in enumerate(zip(op.convs, op.norms, strict=True))
    ]
    return mix(_weighed(branches, _logits(branches, op.squeeze, op.select)), op.leave)


@degenerate("split_attention", "radix 1: squeeze-excite after the convolution")
def radix_one() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    op = SplitAttention(dim=8, radix=1, split=8, inner=16, kernel=3).double().eval()
    x = torch.randn(2, 8, 9, 6, dtype=torch.float64)
    features = normalise(convolve(mix(x, op.enter).clamp(min=0), op.conv.weight), op.norm).clamp(min=0)
    gate = mix(mix(features.mean((2, 3), keepdim=True), op.squeeze).clamp(min=0), op.excite).sigmoid()
    return op(x), mix(features * gate, op.leave)


@degenerate("split_attention", "equal logits: the mean of the splits")
def equal_logits() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    op = SplitAttention(dim=8, radix=4, split=8, inner=16, kernel=3).double().eval()
    op.excite.weight.zero_()
    op.excite.bias.zero_()  # type: ignore[union-attr]
    x = torch.randn(2, 8, 9, 6, dtype=torch.float64)
    splits = normalise(convolve(mix(x, op.enter).clamp(min=0), op.conv.weight, groups=4), op.norm).clamp(min=0)
    return op(x), mix(splits.unflatten(1, (4, 16)).mean(1), op.leave)


@degenerate("selective_kernel", "one path: depthwise, norm, ReLU, pointwise")
def one_path() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    op = SelectiveKernel(dim=8, paths=1, kernel=5).double().eval()
    x = torch.randn(2, 8, 9, 6, dtype=torch.float64)
    features = normalise(convolve_depthwise(x, op.convs[0].weight), op.norms[0]).clamp(min=0)  # type: ignore[arg-type]
    return op(x), mix(features, op.leave)
