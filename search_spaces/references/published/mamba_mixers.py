"""Mamba over images against transformers' mixer, on one row of pixels and in one direction."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from search_spaces.operators.mamba_mixers import Mamba, MambaND
from search_spaces.references.published.packages import package_module
from search_spaces.references.published.ssd_mixers import causal_row, perturb
from search_spaces.references.registry import published


def _compare(op: Any, backward: bool) -> tuple[Tensor, Tensor]:
    module = package_module("transformers.models.mamba.modeling_mamba")
    sizes = {"state_size": 5, "conv_kernel": 4, "time_step_rank": 3, "num_hidden_layers": 1}
    theirs = module.MambaMixer(module.MambaConfig(hidden_size=6, expand=2, **sizes), 0).double().eval()
    op, selection = op.double(), op.selection
    perturb(selection.skip, selection.log_rate, op.conv.bias)
    theirs.in_proj.weight.data = op.values_gate.weight.data
    theirs.conv1d.weight.data, theirs.conv1d.bias.data = causal_row(op.conv).data, op.conv.bias.data
    if backward:
        op.conv.weight.data = op.conv.weight.data.flip(3)
    theirs.x_proj.weight.data = torch.cat([selection.narrow[0], *selection.maps[0]]).data
    theirs.dt_proj.weight.data, theirs.dt_proj.bias.data = selection.widen[0].data, selection.step_bias[0].data
    theirs.A_log.data, theirs.D.data = selection.log_rate[0].data, selection.skip.data
    theirs.out_proj.weight.data = op.out.weight.data
    x = torch.randn(2, 6, 1, 40).double()
    if backward:
        return op(x), theirs(x[:, :, 0].flip(2).mT).mT.flip(2).unsqueeze(2)
    return op(x), theirs(x[:, :, 0].mT).mT.unsqueeze(2)


@published("mamba", "MambaMixer (transformers)", "transformers")
def mamba() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    return _compare(Mamba(dim=6, expansion=2, state=5, rank=3, scans=1), False)


@published("mamba_nd", "MambaMixer (transformers), backward", "transformers")
def mamba_nd() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    return _compare(MambaND(dim=6, expansion=2, state=5, rank=3, order=1), True)
