"""Mamba against transformers' mixer, all of it."""

from __future__ import annotations

import torch
from torch import Tensor

from search_spaces.operators.sequence_mamba import SequenceMamba
from search_spaces.references.published.packages import package_module
from search_spaces.references.registry import published


@published("sequence_mamba", "MambaMixer (transformers)", "transformers")
def mamba() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    module = package_module("transformers.models.mamba.modeling_mamba")
    sizes = {"state_size": 5, "conv_kernel": 4, "time_step_rank": 3, "num_hidden_layers": 1}
    theirs = module.MambaMixer(module.MambaConfig(hidden_size=6, expand=2, **sizes), 0).double().eval()
    op = SequenceMamba(dim=6, expansion=2, state=5, rank=3, kernel=4, causal=1).double()
    x = torch.randn(2, 40, 6).double()
    with torch.no_grad():
        for parameter in (op.conv.bias, op.skip, op.log_rate):
            parameter.add_(0.2 * torch.randn_like(parameter))  # type: ignore[union-attr, arg-type]
        gate, values = op.gate_values.weight.chunk(2)
        theirs.in_proj.weight.copy_(torch.cat([values, gate]))
        theirs.conv1d.load_state_dict(op.conv.state_dict())
        theirs.x_proj.weight.copy_(torch.cat([op.narrow.weight, op.maps.weight]))
        theirs.dt_proj.load_state_dict(op.step.state_dict())
        theirs.A_log.copy_(op.log_rate)
        theirs.D.copy_(op.skip)
        theirs.out_proj.weight.copy_(op.out.weight)
        return op(x), theirs(x)
