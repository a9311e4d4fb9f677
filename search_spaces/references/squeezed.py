"""Evidence for the inverted bottlenecks with a squeeze-excite of their own width."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from search_spaces.operators.mbconv import MBConv
from search_spaces.operators.squeezed import SqueezedMBConv, SqueezedResidual
from search_spaces.references.registry import degenerate, reference
from search_spaces.references.slow import convolve_depthwise, mix, normalise, squeeze_excite, swish


@reference("squeezed_mbconv")
def squeezed_mbconv(op: Any, x: Tensor) -> Tensor:
    x = swish(mix(x, op.expand))
    x = swish(normalise(convolve_depthwise(x, op.depthwise.weight), op.norm))
    return mix(squeeze_excite(x, op.squeeze, op.excite), op.project)


@reference("squeezed_residual")
def squeezed_residual(op: SqueezedResidual, x: Tensor) -> Tensor:
    y = x
    if op.expand is not None and op.expand_norm is not None:
        y = swish(normalise(mix(y, op.expand), op.expand_norm))
    stride = op.depthwise.stride[0]
    y = convolve_depthwise(y, op.depthwise.weight)[:, :, ::stride, ::stride]
    y = squeeze_excite(swish(normalise(y, op.depthwise_norm)), op.squeeze, op.excite)
    y = normalise(mix(y, op.project), op.project_norm)
    return x + y if x.shape == y.shape else y


@degenerate("squeezed_mbconv", "squeeze of a quarter of the hidden channels: mbconv with se 1")
def quarter_of_hidden() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    op, plain = SqueezedMBConv(dim=8, expansion=4, kernel=5, squeeze=8), MBConv(dim=8, expansion=4, kernel=5, se=1)
    plain.load_state_dict(op.state_dict())
    x = torch.randn(2, 8, 9, 6, dtype=torch.float64)
    with torch.no_grad():
        return op.double().eval()(x), plain.double().eval()(x)


@degenerate("squeezed_residual", "norms of the 1x1 convolutions that only add a bias: the shortcut and squeezed_mbconv")
def around_mbconv() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    op = SqueezedResidual(8, 8, expansion=3, kernel=5, stride=1, squeeze=4).double().eval()
    block = SqueezedMBConv(dim=8, expansion=3, kernel=5, squeeze=4).double().eval()
    with torch.no_grad():
        for name in ("expand", "project"):
            norm, conv = getattr(op, f"{name}_norm"), getattr(block, name)
            norm.running_var.fill_(1 - norm.eps)
            norm.bias.copy_(conv.bias)
            getattr(op, name).weight.copy_(conv.weight)
        for name in ("depthwise", "squeeze", "excite"):
            getattr(op, name).load_state_dict(getattr(block, name).state_dict())
        x = torch.randn(2, 8, 9, 6, dtype=torch.float64)
        return op(x), x + block(x)
