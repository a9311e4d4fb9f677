"""Spatial-shift MLP, pixel by pixel."""

from __future__ import annotations

import torch
from torch import Tensor

from search_spaces.operators.mlp import MLP
from search_spaces.operators.s2_mlp import S2MLP
from search_spaces.references.mlp import gelu
from search_spaces.references.registry import degenerate, reference


@reference("s2_mlp")
def s2_mlp(op: S2MLP, x: Tensor) -> Tensor:
    """Every pixel takes its four parts from the pixels that they come from, or from itself where those lie outside."""
    height, width = x.shape[2:]
    hidden = gelu(torch.einsum("oc,bchw->bohw", op.up.weight, x) + op.up.bias[:, None, None])
    quarter, d = hidden.shape[1] // 4, op.distance
    y = torch.empty_like(x)
    for i in range(height):
        for j in range(width):
            parts = []
            for n, (k, m) in enumerate(((i - d, j), (i + d, j), (i, j - d), (i, j + d))):
                inside = 0 <= k < height and 0 <= m < width
                if not inside:
                    k, m = i, j
                parts.append(hidden[:, n * quarter : (n + 1) * quarter, k, m])
            y[:, :, i, j] = torch.cat(parts, 1) @ op.down.weight.T + op.down.bias
    return y


@degenerate("s2_mlp", "a constant image: mlp, the shifts change nothing")
def constant_image() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    op, plain = S2MLP(dim=4, quarter=2, distance=2).double(), MLP(dim=4, ratio=2).double()
    plain.load_state_dict(op.state_dict())
    x = torch.randn(2, 4, 1, 1).double().expand(2, 4, 5, 7)
    with torch.no_grad():
        return op(x), plain(x)


@degenerate("s2_mlp", "an image smaller than the shift: mlp")
def tiny_image() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    op, plain = S2MLP(dim=4, quarter=2, distance=3).double(), MLP(dim=4, ratio=2).double()
    plain.load_state_dict(op.state_dict())
    x = torch.randn(2, 4, 2, 3).double()
    with torch.no_grad():
        return op(x), plain(x)
