"""Evidence for the gated CNN and star blocks."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from search_spaces.operators.gated_cnn import GatedCNN, Star
from search_spaces.operators.modulation import ConvModulation
from search_spaces.references.registry import degenerate, reference
from search_spaces.references.slow import convolve_depthwise, gelu, mix


@reference("gated_cnn")
def gated_cnn(op: Any, x: Tensor) -> Tensor:
    value, part = mix(x, op.value), op.depthwise.out_channels
    value[:, :part] = convolve_depthwise(value[:, :part], op.depthwise.weight, op.depthwise.bias)
    return mix(gelu(mix(x, op.gate)) * value, op.out)


@reference("star")
def star(op: Any, x: Tensor) -> Tensor:
    x = convolve_depthwise(x, op.near.weight, op.near.bias)
    gate = mix(x, op.gate)
    gate = (gate.abs() + gate) / 2
    product = (6 - ((6 - gate).abs() + 6 - gate) / 2) * mix(x, op.value)
    return convolve_depthwise(mix(product, op.down), op.far.weight, op.far.bias)


@degenerate("gated_cnn", "one-tap kernels: convolutional modulation with context and value exchanged")
def gated_is_modulation() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    gated = GatedCNN(dim=8, inner=16, part=16, kernel=1).double()
    modulation = ConvModulation(dim=8, inner=16, kernel=1).double()
    for conv in (gated.depthwise, modulation.depthwise):
        conv.weight.fill_(1.0)
        conv.bias.zero_()  # type: ignore[union-attr]
    modulation.context.load_state_dict(gated.gate.state_dict())
    modulation.value.load_state_dict(gated.value.state_dict())
    modulation.out.load_state_dict(gated.out.state_dict())
    x = torch.randn(2, 8, 9, 6, dtype=torch.float64)
    return gated(x), modulation(x)


@degenerate("star", "gate of one: a linear map, depthwise, two pointwise, depthwise")
def open_gate() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    op = Star(dim=8, expansion=3, kernel=5).double()
    op.gate.weight.zero_()
    op.gate.bias.fill_(1.0)  # type: ignore[union-attr]
    x = torch.randn(2, 8, 9, 6, dtype=torch.float64)
    both = op.down.weight[:, :, 0, 0] @ op.value.weight[:, :, 0, 0]
    shift = op.down.weight[:, :, 0, 0] @ op.value.bias + op.down.bias  # type: ignore[operator]
    hidden = torch.nn.functional.conv2d(op.near(x), both[:, :, None, None], shift)
    return op(x), convolve_depthwise(hidden, op.far.weight, op.far.bias)
