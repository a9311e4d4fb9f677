"""Evidence for the inverted bottleneck."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from search_spaces.operators.mbconv import MBConv
from search_spaces.references.registry import degenerate, reference
from search_spaces.references.slow import convolve_depthwise, gate_forced_open, mix, normalise, squeeze_excite, swish


@reference("mbconv")
def mbconv(op: Any, x: Tensor) -> Tensor:
    x = swish(mix(x, op.expand))
    x = swish(normalise(convolve_depthwise(x, op.depthwise.weight), op.norm))
    if op.squeeze is not None:
        x = squeeze_excite(x, op.squeeze, op.excite)
    return mix(x, op.project)


@degenerate("mbconv", "gate forced open: the block without squeeze-excite")
def open_gate() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    return gate_forced_open(MBConv(dim=8, expansion=4, kernel=5, se=1), MBConv(dim=8, expansion=4, kernel=5, se=0))


@degenerate("mbconv", "depthwise kernel of one centre tap: two pointwise layers, no token mixing")
def one_tap() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    op = MBConv(dim=8, expansion=2, kernel=3, se=0).double().eval()
    op.depthwise.weight.zero_()
    op.depthwise.weight[:, :, 1, 1] = (1 + op.norm.eps) ** 0.5
    x = torch.randn(2, 8, 9, 6, dtype=torch.float64)
    return op(x), mix(swish(swish(mix(x, op.expand))), op.project)
