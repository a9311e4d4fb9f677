"""Multi-axis gated MLP with the gate's matrix written out over all pairs of tokens."""

from __future__ import annotations

import torch
from torch import Tensor

from search_spaces.operators.multi_axis_gmlp import MultiAxisGMLP
from search_spaces.references.mlp import gelu
from search_spaces.references.registry import degenerate, reference


def _dense(op: MultiAxisGMLP, branch: int, height: int, width: int) -> tuple[Tensor, Tensor]:
    """``(H*W, H*W)`` and ``(H*W,)``: what each token takes from each other, and its bias."""
    side = op.block
    rows, columns = -(-height // side), -(-width // side)  # blocks a column and a row; cells of the grid likewise

    def place(i: int, j: int) -> tuple[tuple[int, int], int]:
        """The group of a token and its place in it."""
        if branch:
            return (i % rows, j % columns), (i // rows) * side + j // columns
        return (i // side, j // side), (i % side) * side + j % side

    tokens = [place(i, j) for i in range(height) for j in range(width)]
    matrix = torch.zeros(len(tokens), len(tokens), dtype=torch.float64)
    for a, (group, here) in enumerate(tokens):
        for b, (other, there) in enumerate(tokens):
            if group == other:
                matrix[a, b] = op.gate_weight[branch, here, there]
    return matrix, torch.stack([op.gate_bias[branch, here] for _, here in tokens])


@reference("multi_axis_gmlp")
def multi_axis_gmlp(op: MultiAxisGMLP, x: Tensor) -> Tensor:
    tokens = gelu(x.flatten(2).transpose(1, 2) @ op.up.weight.T + op.up.bias)
    inner, mixed = tokens.shape[2] // (2 * op.branches), []
    for branch in range(op.branches):
        u, v = tokens[:, :, 2 * branch * inner : 2 * (branch + 1) * inner].chunk(2, 2)
        v = (v - v.mean(2, keepdim=True)) / (v.var(2, unbiased=False, keepdim=True) + 1e-5).sqrt()
        matrix, bias = _dense(op, branch, *x.shape[2:])
        mixed.append(u * (matrix @ (v * op.norm_weight[branch] + op.norm_bias[branch]) + bias[:, None]))
    return (torch.cat(mixed, 2) @ op.down.weight.T + op.down.bias).transpose(1, 2).reshape(x.shape)


@degenerate("multi_axis_gmlp", "image = block: blocks and grid are the same")
def one_block() -> tuple[Tensor, Tensor]:
    """The grid then is the image too, so the branches may change places."""
    torch.manual_seed(0)
    op = MultiAxisGMLP(dim=4, expansion=1, block=5, branches=2).double()
    swapped = MultiAxisGMLP(dim=4, expansion=1, block=5, branches=2).double()
    x = torch.randn(2, 4, 5, 5).double()
    with torch.no_grad():
        op.gate_weight.normal_()
        swapped.load_state_dict(op.state_dict())
        for parameter in (swapped.norm_weight, swapped.norm_bias, swapped.gate_weight, swapped.gate_bias):
            parameter.copy_(parameter.flip(0).clone())
        swapped.up.weight.copy_(op.up.weight.roll(8, 0))
        swapped.up.bias.copy_(op.up.bias.roll(8, 0))
        swapped.down.weight.copy_(op.down.weight.roll(4, 1))
        return op(x), swapped(x)


@degenerate("multi_axis_gmlp", "gate weights 0, bias 1 (gate = 1): the MLP of the ungated half")
def open_gates() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    op, x = MultiAxisGMLP(dim=4, expansion=1, block=4, branches=2).double(), torch.randn(2, 4, 5, 7).double()
    with torch.no_grad():
        op.gate_weight.zero_()
        hidden = gelu(op.up(x.permute(0, 2, 3, 1)))
        kept = torch.cat([hidden[..., :4], hidden[..., 8:12]], -1)
        return op(x), op.down(kept).permute(0, 3, 1, 2)
