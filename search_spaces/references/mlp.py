"""The two-layer MLP and SwiGLU, pixel by pixel."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from search_spaces.operators.mlp import GLU, MLP, GatedMLP
from search_spaces.references.registry import degenerate, reference


def fill(layer: Any, weight: Any, bias: Any) -> None:
    """Sets the weight and bias of a linear map or convolution; a matrix will do for a 1x1 convolution."""
    with torch.no_grad():
        weight = weight.reshape(layer.weight.shape) if isinstance(weight, Tensor) else weight
        layer.weight.copy_(torch.as_tensor(weight))
        layer.bias.copy_(torch.as_tensor(bias))


def gelu(x: Tensor) -> Tensor:
    """By its definition: ``x`` times the normal distribution function."""
    return x * 0.5 * (1 + torch.erf(x / math.sqrt(2)))


@reference("mlp")
def mlp(op: MLP, x: Tensor) -> Tensor:
    y = torch.empty_like(x)
    for i in range(x.shape[2]):
        for j in range(x.shape[3]):
            hidden = gelu(x[:, :, i, j] @ op.up.weight.T + op.up.bias)
            y[:, :, i, j] = hidden @ op.down.weight.T + op.down.bias
    return y


@reference("gated_mlp")
def gated_mlp(op: GatedMLP, x: Tensor) -> Tensor:
    y, hidden = torch.empty_like(x), op.down.weight.shape[1]
    for i in range(x.shape[2]):
        for j in range(x.shape[3]):
            gate = x[:, :, i, j] @ op.gate_up.weight[:hidden].T + op.gate_up.bias[:hidden]
            up = x[:, :, i, j] @ op.gate_up.weight[hidden:].T + op.gate_up.bias[hidden:]
            y[:, :, i, j] = (gate / (1 + torch.exp(-gate)) * up) @ op.down.weight.T + op.down.bias
    return y


@degenerate("mlp", "far to the right GELU is linear: the product of the two maps")
def linear_mlp() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    op, x = MLP(dim=6, ratio=2).double(), torch.randn(2, 6, 3, 5).double()
    with torch.no_grad():
        op.up.bias.add_(100.0)
        both = op.down.weight @ op.up.weight
        wanted = torch.tensordot(both, x, ([1], [1])).transpose(0, 1)
        return op(x), wanted + (op.down.weight @ op.up.bias + op.down.bias)[:, None, None]


@degenerate("gated_mlp", "gate held at 1: linear, linear, as glu's with its gate at 1")
def open_gate() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    op, glu, x = GatedMLP(dim=6, ratio=2).double(), GLU(dim=6, ratio=2).double(), torch.randn(2, 6, 3, 5).double()
    with torch.no_grad():
        op.gate_up.weight[:12] = 0.0
        glu.load_state_dict(op.state_dict())
        op.gate_up.bias[:12] = 1.2784645427610738  # silu of it is 1
        glu.gate_up.bias[:12] = 40.0  # sigmoid of it is 1
        return op(x), glu(x)
