"""Token-mixing MLPs against sums over tokens with weights interpolated by torch."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from search_spaces.operators.token_mlp import MixerMLP, RaftMLP, ResMLP
from search_spaces.references.mlp import gelu
from search_spaces.references.registry import degenerate, reference


def _resized(table: Tensor, height: int, width: int) -> Tensor:
    """``(n, grid, grid)`` -> ``(n, height, width)``."""
    return F.interpolate(table[None], size=(height, width), mode="bilinear")[0]


@reference("mixer_mlp")
def mixer_mlp(op: MixerMLP, x: Tensor) -> Tensor:
    height, width = x.shape[2:]
    up, down = _resized(op.up, height, width), _resized(op.down, height, width)
    y = torch.zeros_like(x) + _resized(op.down_bias, height, width)
    for n in range(up.shape[0]):
        unit = gelu((x * up[n]).sum((2, 3)) * op.grid**2 / (height * width) + op.up_bias[n])
        y += unit[:, :, None, None] * down[n]
    return y


@reference("res_mlp")
def res_mlp(op: ResMLP, x: Tensor) -> Tensor:
    height, width = x.shape[2:]
    weight = _resized(op.tokens, height, width).flatten(1).T.unflatten(1, (op.grid, op.grid))
    weight = _resized(weight, height, width).reshape(height, width, height, width)  # from, from, to, to
    weight = weight * op.grid**2 / (height * width)
    y = torch.zeros_like(x) + _resized(op.bias, height, width)
    for i in range(height):
        for j in range(width):
            y += x[:, :, i, j, None, None] * weight[i, j]
    return y


def _line(mlp: Any, x: Tensor) -> Tensor:
    """``(B, raft, L)`` -> the same, for one group of channels and one line."""
    length, grid = x.shape[2], mlp.up.shape[2]
    up, down, bias = (
        F.interpolate(table if table.ndim == 3 else table[None], size=length, mode="linear")
        for table in (mlp.up, mlp.down, mlp.down_bias)
    )
    hidden = gelu(torch.einsum("hrl,brl->bh", up, x) * grid / length + mlp.up_bias)
    return torch.einsum("bh,hrl->brl", hidden, down) + bias


@reference("raft_mlp")
def raft_mlp(op: RaftMLP, x: Tensor) -> Tensor:
    group = x.shape[1] // op.raft
    down, across = torch.zeros_like(x), torch.zeros_like(x)
    for c in range(group):
        for j in range(x.shape[3]):
            down[:, c::group, :, j] = _line(op.vertical, x[:, c::group, :, j])
        for i in range(x.shape[2]):
            across[:, c::group, i] = _line(op.horizontal, (x + down)[:, c::group, i])
    return down + across


@degenerate("mixer_mlp", "image = grid: two linear maps over the tokens, no interpolation")
def mixer_at_its_grid() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    op, x = MixerMLP(dim=3, hidden=7, grid=5).double(), torch.randn(2, 3, 5, 5).double()
    with torch.no_grad():
        hidden = gelu(x.flatten(2) @ op.up.flatten(1).T + op.up_bias)
        return op(x), (hidden @ op.down.flatten(1) + op.down_bias.flatten()).reshape(x.shape)


@degenerate("mixer_mlp", "flat weights (each hidden unit the mean): the same at every resolution")
def mixer_of_the_mean() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    op, x = MixerMLP(dim=3, hidden=7, grid=4).double(), torch.randn(2, 3, 9, 6).double()
    with torch.no_grad():
        op.up.copy_(op.up[:, :1, :1].expand_as(op.up))
        op.down.copy_(op.down[:, :1, :1].expand_as(op.down))
        mean = x.mean((2, 3), keepdim=True)
        hidden = gelu(mean * 16 * op.up[:, 0, 0] + op.up_bias)[:, :, 0]
        return op(x), (hidden @ op.down[:, 0, 0])[:, :, None, None].expand_as(x)


@degenerate("res_mlp", "weights 1 on the diagonal: identity")
def res_mlp_identity() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    op, x = ResMLP(dim=3, grid=4).double(), torch.randn(2, 3, 4, 4).double()
    with torch.no_grad():
        op.tokens.copy_(torch.eye(16).reshape(16, 4, 4))
        return op(x), x


@degenerate("res_mlp", "equal weights of sum 1, at another resolution: the mean")
def res_mlp_mean() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    op, x = ResMLP(dim=3, grid=4).double(), torch.randn(2, 3, 9, 6).double()
    with torch.no_grad():
        op.tokens.fill_(1 / 16)
        return op(x), x.mean((2, 3), keepdim=True).expand_as(x)


@degenerate("raft_mlp", "raft 1, horizontal map 0, image = grid: two linear maps along every column")
def raft_of_columns() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    op, x = RaftMLP(dim=3, raft=1, expansion=2, grid=6).double(), torch.randn(2, 3, 6, 4).double()
    with torch.no_grad():
        op.horizontal.down.zero_()
        op.vertical.down_bias.normal_()
        columns = x.transpose(2, 3)
        hidden = gelu(columns @ op.vertical.up[:, 0].T + op.vertical.up_bias)
        return op(x), (hidden @ op.vertical.down[:, 0] + op.vertical.down_bias[0]).transpose(2, 3)


@degenerate("raft_mlp", "raft weights that keep groups apart: raft 1 on every group")
def separate_rafts() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    two, one = (
        RaftMLP(dim=6, raft=2, expansion=1, grid=5).double(),
        RaftMLP(dim=3, raft=1, expansion=1, grid=5).double(),
    )
    x = torch.randn(2, 6, 7, 4).double()
    with torch.no_grad():
        for big, small in ((two.vertical, one.vertical), (two.horizontal, one.horizontal)):
            for mine, other in ((big.up, small.up), (big.down, small.down)):
                mine.zero_()
                mine[:5, 0], mine[5:, 1] = other[:, 0], other[:, 0]
        return two(x), torch.cat([one(x[:, :3]), one(x[:, 3:])], 1)
