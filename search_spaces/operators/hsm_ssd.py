"""EfficientViM's mixer: state-space duality whose channels are mixed in the hidden states, not in the tokens."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from search_spaces.operators.base import Operator
from search_spaces.operators.layers import full_precision, to_image, to_tokens
from search_spaces.operators.registry import register


@register
class HiddenStateMixer(Operator):
    """Hidden-state mixer of EfficientViM (Lee et al., arXiv 2411.15241): non-causal state-space duality ``h = (softmax(step
    + rate) * b)^T x`` over the tokens, after which gate and projection act on the ``state`` rows of h instead of on all tokens;
    ``y = c out(h silu(z) + skip h)``. b, c and the step pass a depthwise 3x3 convolution.

    Args:
        dim: channels in and out.
        expansion: channels of the gated hidden states over ``dim``.
        state: number of hidden states.
    """

    name, role, family = "hsm_ssd", "mixer", "ssm"
    elastic = {"expansion": (1, 2), "state": (8, 16, 32)}
    layout = {
        "maps.weight": "(3 state) dim",
        "maps_conv.weight": "(3 state) 1 3 3",
        "rate": "state",
        "values_gate.weight": "(2 inner) dim",
        "skip": "1",
        "out.weight": "dim inner",
    }

    def __init__(self, dim: int, expansion: int, state: int) -> None:
        super().__init__()
        inner = dim * expansion
        self.maps = nn.Linear(dim, 3 * state, bias=False)
        self.maps_conv = nn.Conv2d(3 * state, 3 * state, 3, padding=1, groups=3 * state, bias=False)
        self.rate = nn.Parameter(torch.linspace(1, 16, state))
        self.values_gate = nn.Linear(dim, 2 * inner, bias=False)
        self.skip = nn.Parameter(torch.ones(1))
        self.out = nn.Linear(inner, dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[2:]
        maps = self.maps_conv(to_image(self.maps(to_tokens(x)), height, width)).flatten(2)
        b, c, step = maps.chunk(3, 1)  # (B, state, L)
        weight = full_precision(step + self.rate.unsqueeze(-1)).softmax(-1).to(x.dtype) * b
        hidden, gate = self.values_gate(weight @ x.flatten(2).transpose(1, 2)).chunk(2, -1)
        hidden = self.out(hidden * F.silu(gate) + hidden * self.skip)  # (B, state, dim)
        return (hidden.transpose(1, 2) @ c).unflatten(2, (height, width))

    @classmethod
    def axes(cls, **sizes: int) -> dict[str, int]:
        return {**sizes, "inner": sizes["dim"] * sizes["expansion"]}

    @classmethod
    def work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        tokens, dim, state, inner = height * width, sizes["dim"], sizes["state"], sizes["dim"] * sizes["expansion"]
        macs = tokens * state * (5 * dim + 27) + 3 * state * dim * inner
        return macs, tokens * (6 * state + dim) + state * (2 * dim + 2 * inner)
