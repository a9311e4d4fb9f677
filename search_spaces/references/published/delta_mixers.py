"""The gated delta rule over images against transformers' Qwen3-Next, on one row of pixels and in one direction."""

from __future__ import annotations

import torch
from torch import Tensor

from search_spaces.operators.delta_mixers import GatedDelta
from search_spaces.operators.gated_delta import gated_delta_scan
from search_spaces.references.published.packages import package_module
from search_spaces.references.published.ssd_mixers import causal_row, perturb
from search_spaces.references.registry import published


@published("gated_delta", "Qwen3NextGatedDeltaNet (transformers)", "transformers")
def qwen3_next() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    module = package_module("transformers.models.qwen3_next.modeling_qwen3_next")
    heads = {"linear_num_value_heads": 3, "linear_num_key_heads": 3}
    sizes = {"linear_key_head_dim": 4, "linear_value_head_dim": 5, "linear_conv_kernel_dim": 4}
    config = module.Qwen3NextConfig(hidden_size=8, rms_norm_eps=1e-5, num_hidden_layers=1, **heads, **sizes)
    theirs = module.Qwen3NextGatedDeltaNet(config, 0).double().eval()
    op = GatedDelta(dim=8, heads=3, key_dim=4, head_dim=5, kernel=3, scans=1).double()
    x = torch.randn(2, 8, 1, 70).double()
    perturb(op.norm.weight)
    keys, values = op.query_key.weight.unflatten(0, (2, 3, 4)), op.value_gate.weight.unflatten(0, (2, 3, 5))
    theirs.in_proj_qkvz.weight.data = torch.cat([*keys, *values], 1).flatten(0, 1)  # theirs goes head by head
    theirs.in_proj_ba.weight.data = op.strength_step.weight.unflatten(0, (2, 3)).transpose(0, 1).flatten(0, 1)
    theirs.conv1d.weight.data = torch.cat([causal_row(op.keys_conv), causal_row(op.values_conv)])
    theirs.dt_bias.data, theirs.A_log.data = op.step_bias[0], op.log_rate[0]
    theirs.norm.weight.data, theirs.out_proj.weight.data = op.norm.weight.data, op.out.weight.data
    return op(x), theirs(x[:, :, 0].mT).mT.unsqueeze(2)


def _core(rule: str) -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    module = package_module("transformers.models.qwen3_next.modeling_qwen3_next")
    q, k = torch.nn.functional.normalize(torch.randn(2, 2, 100, 3, 4), dim=-1)
    v = torch.randn(2, 100, 3, 5)
    beta, decay = torch.rand(2, 2, 100, 3)
    wanted = getattr(module, rule)(q, k, v, -decay, beta)[0]
    return gated_delta_scan(q * 0.5, k, v, beta, -decay), wanted


@published("gated_delta", "torch_chunk_gated_delta_rule (transformers)", "transformers")
def chunked() -> tuple[Tensor, Tensor]:
    return _core("torch_chunk_gated_delta_rule")


@published("gated_delta", "torch_recurrent_gated_delta_rule (transformers)", "transformers")
def recurrent() -> tuple[Tensor, Tensor]:
    return _core("torch_recurrent_gated_delta_rule")
