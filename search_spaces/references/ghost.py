"""Evidence for the ghost bottleneck."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from search_spaces.operators.ghost import Ghost
from search_spaces.references.registry import degenerate, reference
from search_spaces.references.slow import convolve_depthwise, mix


@reference("ghost")
def ghost(op: Any, x: Tensor) -> Tensor:
    own = mix(x, op.up).clamp(min=0)
    made = convolve_depthwise(own, op.up_ghost.weight, op.up_ghost.bias).clamp(min=0)
    half = own.shape[1]
    weight = op.down.weight[:, :, 0, 0]
    tokens = own.movedim(1, -1) @ weight[:, :half].T + made.movedim(1, -1) @ weight[:, half:].T + op.down.bias
    even = tokens.movedim(-1, 1)
    y = torch.zeros_like(x)
    y[:, 0::2] = even
    y[:, 1::2] = convolve_depthwise(even, op.down_ghost.weight, op.down_ghost.bias)
    return y


@degenerate("ghost", "one-tap ghosts: a two-layer channel map with every channel twice")
def one_tap() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    op = Ghost(dim=8, expansion=4, kernel=3).double()
    for conv in (op.up_ghost, op.down_ghost):
        conv.weight.zero_()
        conv.weight[:, :, 1, 1] = 1
        conv.bias.zero_()  # type: ignore[union-attr]
    x = torch.randn(2, 8, 9, 6, dtype=torch.float64)
    hidden = mix(x, op.up).clamp(min=0)
    return op(x), mix(torch.cat([hidden, hidden], 1), op.down).repeat_interleave(2, 1)
