"""Evidence for the recursive gated convolution."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from search_spaces.operators.gnconv import RecursiveGatedConv
from search_spaces.operators.short_conv import ShortConv
from search_spaces.references.registry import degenerate, reference
from search_spaces.references.slow import convolve_depthwise, mix


@reference("gnconv")
def gnconv(op: Any, x: Tensor) -> Tensor:
    """p[0] = start; p[i+1] = widen(p[i]) * q[i] / 3, the gates q cut out of all rows one by one."""
    inner, order = op.leave.in_channels, len(op.widen) + 1
    rows = mix(x, op.enter)
    gates, position = [], 0
    for i in range(order):
        size = inner // 2**i
        part = slice(position, position + size)
        gates.append(convolve_depthwise(rows[:, part], op.depthwise.weight[part], op.depthwise.bias[part]) / 3)
        position += size
    state = rows[:, position:] * gates[-1]
    for i in range(order - 2, -1, -1):
        state = mix(state, op.widen[i]) * gates[i]
    return mix(state, op.leave)


@degenerate("gnconv", "order 1: the gated short convolution with its first gate open")
def order_one() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    op = RecursiveGatedConv(dim=8, inner=16, order=1, kernel=5).double()
    op.depthwise.bias.zero_()  # type: ignore[union-attr]
    short = ShortConv(dim=8, expansion=2, kernel=5).double()
    q, p = op.enter.weight.chunk(2)
    short.gates.weight.copy_(torch.cat([torch.zeros_like(p), p, q]))
    q, p = op.enter.bias.chunk(2)  # type: ignore[union-attr]
    short.gates.bias.copy_(torch.cat([torch.ones_like(p), p, q]))  # type: ignore[union-attr]
    short.depthwise.weight.copy_(op.depthwise.weight / 3)
    short.out.load_state_dict(op.leave.state_dict())
    x = torch.randn(2, 8, 9, 6, dtype=torch.float64)
    return op(x), short(x)


@degenerate("gnconv", "scaled input, no biases: order n gives the power n + 1 of the scale")
def homogeneous() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    got, wanted = [], []
    for order in range(1, 6):
        op = RecursiveGatedConv(dim=8, inner=32, order=order, kernel=3).double()
        for name, parameter in op.named_parameters():
            parameter.mul_(0.0 if name.endswith("bias") else 1.0)
        x = torch.randn(1, 8, 9, 6, dtype=torch.float64)
        got.append(op(3 * x) / 3 ** (order + 1))
        wanted.append(op(x))
    return torch.cat(got), torch.cat(wanted)
