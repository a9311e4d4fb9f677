"""Mixtures of experts: each token sent to its experts, one after another."""

from __future__ import annotations

import torch
from torch import Tensor

from search_spaces.operators.mlp import MLP
from search_spaces.operators.moe import MoEMLP, SequenceMoE
from search_spaces.operators.sequence_mlp import SequenceSwiGLU
from search_spaces.references.mlp import gelu
from search_spaces.references.registry import degenerate, reference


def _chosen(scores: Tensor, top_k: int) -> tuple[Tensor, list[int]]:
    """Softmax of the chosen scores and their experts, by sorting."""
    best = sorted(range(len(scores)), key=lambda e: -scores[e].item())[:top_k]
    return scores[best].exp() / scores[best].exp().sum(), best


@reference("moe_mlp")
def moe_mlp(op: MoEMLP, x: Tensor) -> Tensor:
    y = torch.zeros_like(x)
    up = op.up.weight.unflatten(0, (op.experts, -1)), op.up.bias.unflatten(0, (op.experts, -1))
    down = op.down.weight.unflatten(1, (op.experts, -1))
    for b in range(x.shape[0]):
        for i in range(x.shape[2]):
            for j in range(x.shape[3]):
                token = x[b, :, i, j]
                for gate, e in zip(*_chosen(op.router.weight @ token, op.top_k), strict=True):
                    y[b, :, i, j] += gate * (down[:, e] @ gelu(up[0][e] @ token + up[1][e]) + op.down_bias[e])
    return y


@reference("sequence_moe")
def sequence_moe(op: SequenceMoE, x: Tensor) -> Tensor:
    y = torch.zeros_like(x)
    gates, ups = op.gate_up.weight.unflatten(0, (2, op.experts, -1))
    down = op.down.weight.unflatten(1, (op.experts, -1))
    for b in range(x.shape[0]):
        for t in range(x.shape[1]):
            for weight, e in zip(*_chosen(op.router.weight @ x[b, t], op.top_k), strict=True):
                gate = gates[e] @ x[b, t]
                y[b, t] += weight * (down[:, e] @ (gate / (1 + torch.exp(-gate)) * (ups[e] @ x[b, t])))
    return y


@degenerate("moe_mlp", "one expert: mlp")
def one_expert() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    op, dense = MoEMLP(dim=6, ratio=2, experts=1, top_k=1).double(), MLP(dim=6, ratio=2).double()
    x = torch.randn(2, 6, 4, 5).double()
    with torch.no_grad():
        for mine, other in ((op.up.weight, dense.up.weight), (op.up.bias, dense.up.bias)):
            mine.copy_(other)
        op.down.weight.copy_(dense.down.weight)
        op.down_bias[0] = dense.down.bias
        return op(x), dense(x)


@degenerate("moe_mlp", "tied experts: mlp, whatever the routing")
def tied_experts() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    op, dense = MoEMLP(dim=6, ratio=2, experts=4, top_k=2).double(), MLP(dim=6, ratio=2).double()
    x = torch.randn(2, 6, 4, 5).double()
    with torch.no_grad():
        op.up.weight.copy_(dense.up.weight.repeat(4, 1))
        op.up.bias.copy_(dense.up.bias.repeat(4))
        op.down.weight.copy_(dense.down.weight.repeat(1, 4))
        op.down_bias.copy_(dense.down.bias.expand(4, 6))
        return op(x), dense(x)


@degenerate("moe_mlp", "load-balance loss of equal scores: 1; active parameters of one of four experts, counted")
def balance_and_counts() -> tuple[Tensor, Tensor]:
    op = MoEMLP(dim=6, ratio=2, experts=4, top_k=1).double()
    with torch.no_grad():
        op.router.weight.zero_()
        counts = MoEMLP.parameter_counts(dim=6, ratio=2, experts=4, top_k=1)
        expert = 2 * 6 * 12 + 12 + 6
        got = torch.stack([op.balance(torch.ones(3, 6).double()), *map(torch.tensor, counts)])
    return got, torch.tensor([1.0, 4 * 6 + 4 * expert, 4 * 6 + expert]).double()


@degenerate("sequence_moe", "one expert: sequence_swiglu")
def one_sequence_expert() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    op, dense = SequenceMoE(dim=6, ratio=2, experts=1, top_k=1).double(), SequenceSwiGLU(dim=6, ratio=2).double()
    x = torch.randn(2, 7, 6).double()
    with torch.no_grad():
        op.gate_up.weight.copy_(dense.gate_up.weight)
        op.down.weight.copy_(dense.down.weight)
        return op(x), dense(x)
