"""Deep MLP, GLU and the depthwise channel mixers, written with sums over taps."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from search_spaces.operators.channel_mixers import ConvGLU, DeepMLP, DepthwiseMLP
from search_spaces.operators.mlp import GLU, MLP
from search_spaces.references.mlp import fill, gelu
from search_spaces.references.registry import degenerate, reference


def pointwise(x: Tensor, weight: Tensor, bias: Any) -> Tensor:
    """A linear map of the channels of ``(B, C, H, W)``."""
    return torch.einsum("oc,bchw->bohw", weight.flatten(1), x) + bias[:, None, None]


def depthwise(x: Tensor, weight: Tensor, bias: Any) -> Tensor:
    """A depthwise convolution with zero padding, as the sum over its taps of shifted images."""
    height, width, side = x.shape[2], x.shape[3], weight.shape[2]
    padded = F.pad(x, (side // 2,) * 4)
    y = torch.zeros_like(x) + bias[:, None, None]
    for i in range(side):
        for j in range(side):
            y += weight[:, 0, i, j, None, None] * padded[:, :, i : i + height, j : j + width]
    return y


@reference("deep_mlp")
def deep_mlp(op: DeepMLP, x: Tensor) -> Tensor:
    layers = [layer for layer in (op.first, op.middle, op.last) if layer is not None]
    y = x if layers else torch.zeros_like(x)
    for n, layer in enumerate(layers):
        y = pointwise(gelu(y) if n else y, layer.weight, layer.bias)
    return y


@reference("glu")
def glu(op: GLU, x: Tensor) -> Tensor:
    hidden = op.down.weight.shape[1]
    gate = pointwise(x, op.gate_up.weight[:hidden], op.gate_up.bias[:hidden])
    up = pointwise(x, op.gate_up.weight[hidden:], op.gate_up.bias[hidden:])
    return pointwise(up / (1 + torch.exp(-gate)), op.down.weight, op.down.bias)


@reference("conv_glu")
def conv_glu(op: ConvGLU, x: Tensor) -> Tensor:
    gate, up = pointwise(x, op.gate_up.weight, op.gate_up.bias).tensor_split(2, 1)
    return pointwise(gelu(depthwise(gate, op.depthwise.weight, op.depthwise.bias)) * up, op.down.weight, op.down.bias)


@reference("depthwise_mlp")
def depthwise_mlp(op: DepthwiseMLP, x: Tensor) -> Tensor:
    hidden = pointwise(x, op.up.weight, op.up.bias)
    near = depthwise(hidden, op.depthwise.weight, op.depthwise.bias)
    return pointwise(gelu(hidden + near if op.shortcut else near), op.down.weight, op.down.bias)


def _image() -> Tensor:
    torch.manual_seed(0)
    return torch.randn(2, 6, 4, 5).double()


@degenerate("deep_mlp", "depth 2: mlp")
def two_layers() -> tuple[Tensor, Tensor]:
    x, op, plain = _image(), DeepMLP(dim=6, ratio=2, depth=2).double(), MLP(dim=6, ratio=2).double()
    plain.load_state_dict({k.replace("first", "up").replace("last", "down"): v for k, v in op.state_dict().items()})
    with torch.no_grad():
        return op(x), plain(x)


@degenerate("deep_mlp", "depth 0: nothing is added")
def no_layers() -> tuple[Tensor, Tensor]:
    x = _image()
    return DeepMLP(dim=6, ratio=2, depth=0)(x), torch.zeros_like(x)


@degenerate("glu", "gate shut half-way (weights 0): half of linear, linear")
def half_gate() -> tuple[Tensor, Tensor]:
    x, op = _image(), GLU(dim=6, ratio=2).double()
    with torch.no_grad():
        op.gate_up.weight[:12], op.gate_up.bias[:12] = 0.0, 0.0
        up = F.conv2d(x, op.gate_up.weight[12:, :, None, None], op.gate_up.bias[12:])
        return op(x), F.conv2d(up / 2, op.down.weight[:, :, None, None], op.down.bias)


@degenerate("conv_glu", "value held at 1, depthwise kernel 1 with weight 1: mlp")
def plain_mlp_from_conv_glu() -> tuple[Tensor, Tensor]:
    x, op, plain = _image(), ConvGLU(dim=6, ratio=2, kernel=1).double(), MLP(dim=6, ratio=2).double()
    with torch.no_grad():
        weight, bias = plain.up.weight, plain.up.bias
        fill(op.gate_up, torch.cat([weight, 0 * weight]), torch.cat([bias, torch.ones_like(bias)]))
        fill(op.depthwise, 1.0, 0.0)
        fill(op.down, plain.down.weight, plain.down.bias)
        return op(x), plain(x)


@degenerate("conv_glu", "all taps but the centre 0: the operator with kernel 1")
def centre_tap() -> tuple[Tensor, Tensor]:
    x, wide, narrow = _image(), ConvGLU(dim=6, ratio=2, kernel=5), ConvGLU(dim=6, ratio=2, kernel=1)
    with torch.no_grad():
        centre = wide.depthwise.weight[:, :, 2:3, 2:3].clone()
        wide.depthwise.weight.zero_()
        wide.depthwise.weight[:, :, 2:3, 2:3] = centre
        narrow.load_state_dict({**wide.state_dict(), "depthwise.weight": centre})
        return wide.double()(x), narrow.double()(x)


@degenerate("depthwise_mlp", "depthwise kernel 1 with weight 1, no shortcut: mlp")
def plain_mlp_from_depthwise() -> tuple[Tensor, Tensor]:
    x, op = _image(), DepthwiseMLP(dim=6, ratio=2, kernel=1, shortcut=0).double()
    plain = MLP(dim=6, ratio=2).double()
    with torch.no_grad():
        fill(op.up, plain.up.weight, plain.up.bias)
        fill(op.depthwise, 1.0, 0.0)
        fill(op.down, plain.down.weight, plain.down.bias)
        return op(x), plain(x)


@degenerate("depthwise_mlp", "shortcut and no depthwise weights: mlp")
def plain_mlp_from_shortcut() -> tuple[Tensor, Tensor]:
    x, op = _image(), DepthwiseMLP(dim=6, ratio=2, kernel=3, shortcut=1).double()
    plain = MLP(dim=6, ratio=2).double()
    with torch.no_grad():
        fill(op.up, plain.up.weight, plain.up.bias)
        fill(op.depthwise, 0.0, 0.0)
        fill(op.down, plain.down.weight, plain.down.bias)
        return op(x), plain(x)
