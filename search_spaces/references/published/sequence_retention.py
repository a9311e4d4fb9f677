"""Retention's core against transformers' lightning attention, which has the same decays and another norm and gate."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from search_spaces.operators.sequence_retention import retention_scan
from search_spaces.references.published.packages import package_module
from search_spaces.references.registry import published


@published("sequence_retention", "core of MiniMaxLightningAttention (transformers)", "transformers")
def lightning() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    module = package_module("transformers.models.minimax.modeling_minimax")
    sizes = {"hidden_size": 8, "num_attention_heads": 2, "head_dim": 4, "num_hidden_layers": 2, "block_size": 16}
    config = module.MiniMaxConfig(**sizes, layer_types=["linear_attention"] * 2)
    theirs = module.MiniMaxLightningAttention(config, 0).double().eval()
    theirs.norm, theirs.out_proj, theirs.act_fn = nn.Identity(), nn.Identity(), nn.Identity()
    x = torch.randn(2, 70, 8).double()
    with torch.no_grad():
        theirs.output_gate.weight.zero_()  # a gate of one half
        q, k, v = theirs.qkv_proj(x).unflatten(-1, (2, 12)).split(4, -1)
        log_decay = -theirs.slope_rate.view(1, 1, 2, 1).expand(2, 70, 2, 1)
        return retention_scan(q, k, v, log_decay).flatten(2) / 2, theirs(x, None, None)[0]
