"""Mamba-2 against transformers' mixer, all of it."""

from __future__ import annotations

import torch
from torch import Tensor

from search_spaces.operators.sequence_ssd import SequenceSSD
from search_spaces.references.published.packages import package_module
from search_spaces.references.registry import published


@published("sequence_ssd", "Mamba2Mixer (transformers)", "transformers")
def mamba2() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    module = package_module("transformers.models.mamba2.modeling_mamba2")
    sizes = {"num_heads": 4, "head_dim": 4, "state_size": 5, "conv_kernel": 4, "n_groups": 1, "chunk_size": 16}
    config = module.Mamba2Config(hidden_size=8, expand=2, layer_norm_epsilon=1e-5, num_hidden_layers=1, **sizes)
    theirs = module.Mamba2Mixer(config, 0).double().eval()
    op = SequenceSSD(dim=8, heads=4, head_dim=4, state=5, kernel=4, causal=1).double()
    x = torch.randn(2, 70, 8).double()
    with torch.no_grad():
        for parameter in (op.values_conv.bias, op.maps_conv.bias, op.skip, op.norm.weight):
            parameter.add_(0.2 * torch.randn_like(parameter))  # type: ignore[union-attr, arg-type]
        theirs.in_proj.weight.copy_(torch.cat([op.gate_values.weight, op.maps.weight, op.step.weight]))
        theirs.conv1d.weight.copy_(torch.cat([op.values_conv.weight, op.maps_conv.weight]))
        theirs.conv1d.bias.copy_(torch.cat([op.values_conv.bias, op.maps_conv.bias]))  # type: ignore[list-item]
        theirs.dt_bias.copy_(op.step_bias)
        theirs.A_log.copy_(op.log_rate)
        theirs.D.copy_(op.skip[:, 0])
        theirs.norm.weight.copy_(op.norm.weight)
        theirs.out_proj.weight.copy_(op.out.weight)
        return op(x), theirs(x)
