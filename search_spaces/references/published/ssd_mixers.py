"""State-space duality over images against transformers' Mamba-2: on one row of pixels, one direction is the whole mixer."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from search_spaces.operators.ssd_mixers import SSD
from search_spaces.references.published.packages import package_module
from search_spaces.references.registry import published


def causal_row(conv: Any) -> Tensor:
    """The middle row of 3x3 kernels, of which the tap on the next pixel is taken away, as a causal kernel of 4 tokens."""
    conv.weight.data[:, :, 1, 2] = 0
    return F.pad(conv.weight[:, :, 1, :2], (2, 0))


def perturb(*parameters: Tensor) -> None:
    """Moves parameters that start at zero or one."""
    for parameter in parameters:
        parameter.data.add_(0.2 * torch.randn_like(parameter))


@published("ssd", "Mamba2Mixer (transformers)", "transformers")
def mamba2() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    module = package_module("transformers.models.mamba2.modeling_mamba2")
    sizes = {"num_heads": 4, "head_dim": 4, "state_size": 5, "conv_kernel": 4, "n_groups": 1, "chunk_size": 16}
    config = module.Mamba2Config(hidden_size=8, expand=2, layer_norm_epsilon=1e-5, num_hidden_layers=1, **sizes)
    theirs = module.Mamba2Mixer(config, 0).double().eval()
    op = SSD(dim=8, heads=4, head_dim=4, state=5, scans=1).double()
    x = torch.randn(2, 8, 1, 70).double()
    perturb(op.skip, op.norm.weight)
    theirs.in_proj.weight.data = torch.cat([op.gate_values.weight, op.maps.weight, op.step.weight])
    theirs.conv1d.weight.data = torch.cat([causal_row(op.conv), causal_row(op.maps_conv)])
    theirs.conv1d.bias.data = torch.cat([b for b in (op.conv.bias, op.maps_conv.bias) if b is not None])
    theirs.dt_bias.data, theirs.A_log.data, theirs.D.data = op.step_bias[0], op.log_rate[0], op.skip[:, 0]
    theirs.norm.weight.data, theirs.out_proj.weight.data = op.norm.weight.data, op.out.weight.data
    return op(x), theirs(x[:, :, 0].mT).mT.unsqueeze(2)


@published("ssd", "mamba2_chunk_scan (transformers), both ways", "transformers")
def both_ways() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    scan = package_module("transformers.models.mamba2.modeling_mamba2").mamba2_chunk_scan
    op = SSD(dim=8, heads=4, head_dim=4, state=5, scans=2)
    values, step = torch.randn(2, 100, 4, 4), torch.randn(2, 100, 4)
    b, c = torch.randn(2, 2, 100, 5)
    wanted = torch.zeros_like(values)
    for way in (0, 1):
        inputs = [t.flip(1) if way else t for t in (values, step, b.unsqueeze(2), c.unsqueeze(2))]
        x, dt, into, out = inputs
        y = scan(x, dt, -op.log_rate[way].exp(), into, out, 32, dt_bias=op.step_bias[way], dt_softplus=True)
        wanted = wanted + (y.flip(1) if way else y) / 2
    return op.mix(values, step, b, c, 10, 10), wanted
