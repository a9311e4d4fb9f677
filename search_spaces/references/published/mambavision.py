"""The scans of the MambaVision mixers against transformers' Mamba and Mamba-2."""

from __future__ import annotations

import torch
from torch import Tensor

from search_spaces.operators.mambavision import MambaVision, MambaVisionSSD
from search_spaces.references.published.packages import package_module
from search_spaces.references.published.ssd_mixers import perturb
from search_spaces.references.registry import published


@published("mambavision", "mamba_selective_scan (transformers)", "transformers")
def selective() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    scan = package_module("transformers.models.mamba.modeling_mamba").mamba_selective_scan
    op = MambaVision(dim=8, expansion=1, state=5, rank=3, kernel=3)
    chosen = op.selection
    perturb(chosen.skip, chosen.log_rate)
    u = torch.randn(2, 40, 4)
    b, c = (u @ part.T for part in chosen.maps[0])
    step = (u @ chosen.narrow[0].T @ chosen.widen[0].T).mT
    rates, bias = -chosen.log_rate[0].exp(), chosen.step_bias[0]
    wanted = scan(u.mT, step, rates, b.mT, c.mT, chosen.skip, delta_bias=bias, delta_softplus=True)
    return op.scan(u), wanted.mT


@published("mambavision_ssd", "mamba2_chunk_scan (transformers)", "transformers")
def duality() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    scan = package_module("transformers.models.mamba2.modeling_mamba2").mamba2_chunk_scan
    op = MambaVisionSSD(dim=8, heads=3, head_dim=4, state=5, kernel=3)
    perturb(op.skip)
    u = torch.randn(2, 70, 12)
    b, c = op.maps(u).unsqueeze(2).chunk(2, -1)
    values, rates = u.unflatten(-1, (3, 4)), -op.log_rate.exp()
    wanted = scan(values, op.step(u), rates, b, c, 32, D=op.skip[:, 0], dt_softplus=True)
    return op.scan(u), wanted.flatten(2)
