"""Multi-axis gated MLP: gates that look over a block of neighbours, and over a grid that spans the image."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from search_spaces.operators.base import Operator
from search_spaces.operators.legal import positive, require
from search_spaces.operators.registry import register


def to_blocks(x: Tensor, side: int) -> Tensor:
    """``(B, H, W, C)`` -> ``(B * H/side, W/side, side * side, C)``: the tokens of each block together."""
    batch, height, width, dim = x.shape
    rows = x.reshape(batch * height // side, side, width // side, side, dim)
    return rows.transpose(1, 2).flatten(2, 3)


def from_blocks(blocks: Tensor, side: int, height: int, width: int) -> Tensor:
    """The inverse of `to_blocks`."""
    return blocks.unflatten(2, (side, side)).transpose(1, 2).reshape(-1, height, width, blocks.shape[-1])


def regroup(x: Tensor, rows: int, columns: int) -> Tensor:
    """``(B, H, W, C)`` with row ``r * H/rows + i`` moved to ``i * rows + r``, columns likewise: afterwards each block of
    ``rows`` x ``columns`` holds tokens from all over the image. With ``H/rows`` and ``W/columns`` it is its own inverse."""
    batch, height, width, dim = x.shape
    x = x.reshape(batch, rows, height // rows, width * dim).transpose(1, 2)
    x = x.reshape(batch * height, columns, width // columns, dim).transpose(1, 2)
    return x.reshape(batch, height, width, dim)


@register
class MultiAxisGMLP(Operator):
    """Multi-axis gated MLP (Tu et al., MAXIM, arXiv 2201.02973): half of the channels are gated within blocks of
    ``block`` x ``block`` neighbours, the other half over a grid of as many tokens that spans the image. The gate is gMLP's
    spatial gating unit (Liu et al., arXiv 2105.08050): ``u * (W norm(v) + b)``.

    The weights have a fixed side, so any resolution works; images are padded with zeros after the norm, which add nothing.

    Args:
        dim: channels in and out.
        expansion: channels of a branch over ``dim``.
        block: side of a block, and of the grid.
        branches: 1 for blocks only, 2 for blocks and grid.
    """

    name, role, family = "multi_axis_gmlp", "mixer", "mlp"
    elastic = {"expansion": (1, 2), "block": (4, 8), "branches": (1, 2)}
    layout = {
        "up.weight": "(branches 2 inner) dim",
        "up.bias": "(branches 2 inner)",
        "norm_weight": "branches inner",
        "norm_bias": "branches inner",
        "gate_weight": "branches (block block) (block block)",
        "gate_bias": "branches (block block)",
        "down.weight": "dim (branches inner)",
        "down.bias": "dim",
    }

    def __init__(self, dim: int, expansion: int, block: int, branches: int) -> None:
        super().__init__()
        inner, tokens = dim * expansion, block * block
        self.block, self.branches = block, branches
        self.up = nn.Linear(dim, branches * 2 * inner)
        self.norm_weight = nn.Parameter(torch.ones(branches, inner))
        self.norm_bias = nn.Parameter(torch.zeros(branches, inner))
        self.gate_weight = nn.Parameter(torch.randn(branches, tokens, tokens) * 1e-3)  # gates start near 1
        self.gate_bias = nn.Parameter(torch.ones(branches, tokens))
        self.down = nn.Linear(branches * inner, dim)

    def gate(self, v: Tensor, branch: int) -> Tensor:
        """Branch 0 mixes ``v`` ``(B, H, W, inner)`` within blocks, branch 1 over the grid."""
        side, (height, width) = self.block, v.shape[1:3]
        v = F.layer_norm(v, v.shape[3:], self.norm_weight[branch], self.norm_bias[branch])
        v = F.pad(v, (0, 0, 0, -width % side, 0, -height % side))
        rows, columns = v.shape[1:3]
        if branch:
            v = regroup(v, side, side)
        mixed = self.gate_weight[branch] @ to_blocks(v, side) + self.gate_bias[branch].unsqueeze(-1)
        v = from_blocks(mixed, side, rows, columns)
        if branch:
            v = regroup(v, rows // side, columns // side)
        return v[:, :height, :width]

    def forward(self, x: Tensor) -> Tensor:
        parts = F.gelu(self.up(x.permute(0, 2, 3, 1))).chunk(2 * self.branches, -1)
        mixed = [parts[2 * n] * self.gate(parts[2 * n + 1], n) for n in range(self.branches)]
        return self.down(torch.cat(mixed, -1)).permute(0, 3, 1, 2)

    @classmethod
    def axes(cls, **sizes: int) -> dict[str, int]:
        return {**sizes, "inner": sizes["dim"] * sizes["expansion"]}

    @classmethod
    def check(cls, shape: tuple[int, ...], **sizes: int) -> None:
        positive(cls, expansion=sizes["expansion"], block=sizes["block"])
        require(sizes["branches"] in (1, 2), cls, "branches", sizes["branches"], "1, 2")

    @classmethod
    def work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        tokens, dim, side = height * width, sizes["dim"], sizes["block"]
        inner = sizes["branches"] * dim * sizes["expansion"]
        padded = (height + -height % side) * (width + -width % side)
        return inner * (3 * tokens * dim + padded * side * side), tokens * (2 * inner + dim) + padded * inner
