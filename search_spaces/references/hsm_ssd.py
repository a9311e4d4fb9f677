"""Evidence for EfficientViM's mixer."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from search_spaces.operators.hsm_ssd import HiddenStateMixer
from search_spaces.operators.ssd import nc_ssd
from search_spaces.references.registry import degenerate, reference
from search_spaces.references.slow import convolve_depthwise, swish


@reference("hsm_ssd")
def hsm_ssd(op: Any, x: Tensor) -> Tensor:
    """One hidden state after the other."""
    tokens = x.flatten(2).transpose(1, 2)
    maps = convolve_depthwise(torch.einsum("bchw,oc->bohw", x, op.maps.weight), op.maps_conv.weight).flatten(2)
    states = maps.shape[1] // 3
    inner = op.out.weight.shape[1]
    y = torch.zeros_like(tokens)
    for n in range(states):
        into, read, step = maps[:, n], maps[:, states + n], maps[:, 2 * states + n] + op.rate[n]
        share = step.exp() / step.exp().sum(-1, keepdim=True)
        hidden, gate = ((share * into).unsqueeze(1) @ tokens @ op.values_gate.weight.T).split(inner, -1)
        y = y + read[:, :, None] * ((hidden * swish(gate) + op.skip * hidden) @ op.out.weight.T)
    return y.transpose(1, 2).unflatten(2, x.shape[2:])


@degenerate("hsm_ssd", "no gate, unit maps of channels: non-causal state-space duality with shares as weights")
def duality() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    op = HiddenStateMixer(dim=6, expansion=1, state=4).double()
    op.values_gate.weight.data = torch.cat([torch.eye(6), torch.zeros(6, 6)]).double()
    op.out.weight.data = torch.eye(6).double()
    x = torch.randn(2, 6, 5, 7, dtype=torch.float64)
    maps = op.maps_conv(torch.einsum("bchw,oc->bohw", x, op.maps.weight)).flatten(2).mT
    b, c, step = maps.chunk(3, -1)
    shares = (step + op.rate).softmax(1) * b  # (B, L, state): the weights of each state are its own
    wanted = nc_ssd(x.flatten(2).mT.unsqueeze(2), torch.ones(2, 35, 1, dtype=torch.float64), shares, c)
    return op(x), wanted.flatten(2).mT.unflatten(2, (5, 7))
