"""Mixtures of experts against Mixtral's block."""

from __future__ import annotations

import torch
from torch import Tensor

from search_spaces.operators.moe import MoEMLP, SequenceMoE
from search_spaces.references.published.packages import package_module
from search_spaces.references.registry import published


@published("sequence_moe", "MixtralSparseMoeBlock (transformers; its router is float32)", "transformers")
def mixtral() -> tuple[Tensor, Tensor]:
    package = package_module("transformers.models.mixtral.modeling_mixtral")
    config = package.MixtralConfig(hidden_size=6, intermediate_size=12, num_local_experts=4, num_experts_per_tok=2)
    torch.manual_seed(0)
    op, theirs = (
        SequenceMoE(dim=6, ratio=2, experts=4, top_k=2).double(),
        package.MixtralSparseMoeBlock(config).double(),
    )
    x = torch.randn(2, 9, 6).double()
    with torch.no_grad():
        theirs.gate.weight.copy_(op.router.weight)
        gate, up = op.gate_up.weight.unflatten(0, (2, 4, 12))
        theirs.experts.gate_up_proj.copy_(torch.cat([gate, up], 1))
        theirs.experts.down_proj.copy_(op.down.weight.unflatten(1, (4, 12)).transpose(0, 1))
        return op(x), theirs(x)


@published("moe_mlp", "load_balancing_loss_func of Switch (transformers; its load is float32)", "transformers")
def switch_loss() -> tuple[Tensor, Tensor]:
    package = package_module("transformers.models.switch_transformers.modeling_switch_transformers")
    torch.manual_seed(0)
    op, x = MoEMLP(dim=6, ratio=2, experts=4, top_k=1).double(), torch.randn(2, 6, 4, 5).double()
    with torch.no_grad():
        tokens = x.permute(0, 2, 3, 1)
        scores = op.router(tokens).softmax(-1).reshape(1, -1, 4)
        return op.balance(tokens), package.load_balancing_loss_func(scores, scores.argmax(-1))
