"""Gated delta networks against transformers' Qwen3-Next, all of the mixer."""

from __future__ import annotations

import torch
from torch import Tensor

from search_spaces.operators.sequence_delta import SequenceGatedDelta
from search_spaces.references.published.packages import package_module
from search_spaces.references.registry import published


@published("sequence_gated_delta", "Qwen3NextGatedDeltaNet (transformers)", "transformers")
def qwen3_next() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    module = package_module("transformers.models.qwen3_next.modeling_qwen3_next")
    heads = {"linear_num_value_heads": 3, "linear_num_key_heads": 3}
    sizes = {"linear_key_head_dim": 4, "linear_value_head_dim": 5, "linear_conv_kernel_dim": 4}
    config = module.Qwen3NextConfig(hidden_size=8, rms_norm_eps=1e-5, num_hidden_layers=1, **heads, **sizes)
    theirs = module.Qwen3NextGatedDeltaNet(config, 0).double().eval()
    op = SequenceGatedDelta(dim=8, heads=3, key_dim=4, head_dim=5, kernel=4, causal=1).double()
    x = torch.randn(2, 70, 8).double()
    with torch.no_grad():
        op.norm.weight.add_(0.2 * torch.randn(5))
        keys = op.query_key.weight.unflatten(0, (2, 3, 4))
        values = op.value_gate.weight.unflatten(0, (2, 3, 5))
        theirs.in_proj_qkvz.weight.copy_(torch.cat([*keys, *values], 1).flatten(0, 1))  # theirs goes head by head
        theirs.in_proj_ba.weight.copy_(op.strength_step.weight.unflatten(0, (2, 3)).transpose(0, 1).flatten(0, 1))
        theirs.conv1d.weight.copy_(torch.cat([op.keys_conv.weight, op.values_conv.weight]))
        theirs.dt_bias.copy_(op.step_bias)
        theirs.A_log.copy_(op.log_rate)
        theirs.norm.weight.copy_(op.norm.weight)
        theirs.out_proj.weight.copy_(op.out.weight)
        return op(x), theirs(x)
