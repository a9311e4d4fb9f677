"""The recurrent block of Griffin against transformers' RecurrentGemma."""

from __future__ import annotations

import torch
from torch import Tensor

from search_spaces.operators.sequence_rglru import SequenceRGLRU
from search_spaces.references.published.packages import package_module
from search_spaces.references.registry import published


@published(
    "sequence_rglru", "RecurrentGemmaRecurrentBlock without its reset at position 0 (transformers)", "transformers"
)
def recurrent_gemma() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    module = package_module("transformers.models.recurrent_gemma.modeling_recurrent_gemma")
    sizes = {"hidden_size": 6, "lru_width": 8, "num_attention_heads": 2, "conv1d_width": 4, "num_hidden_layers": 1}
    config = module.RecurrentGemmaConfig(**sizes, hidden_activation="gelu")
    theirs = module.RecurrentGemmaRecurrentBlock(config, 0).double().eval()
    op, x = SequenceRGLRU(dim=6, heads=2, head_dim=4, kernel=4, causal=1).double(), torch.randn(2, 40, 6).double()
    with torch.no_grad():
        for parameter in (op.conv.bias, op.input_bias, op.decay_bias, op.rate):
            parameter.add_(0.2 * torch.randn(8))  # type: ignore[union-attr]
        values, beside = op.branches.weight.chunk(2)
        for linear, weight in (
            (theirs.linear_x, values),
            (theirs.linear_y, beside),
            (theirs.linear_out, op.out.weight),
        ):
            linear.weight.copy_(weight)
            linear.bias.zero_()
        theirs.conv_1d.load_state_dict(op.conv.state_dict())
        unit = theirs.rg_lru
        unit.recurrent_param.copy_(op.rate)
        unit.input_gate_weight.copy_(op.input_gate)
        unit.input_gate_bias.copy_(op.input_bias.view(2, 4))
        unit.recurrent_gate_weight.copy_(op.decay_gate)
        unit.recurrent_gate_bias.copy_(op.decay_bias.view(2, 4))
        places = torch.arange(1, 41).expand(2, -1)
        return op(x), theirs(x, places, torch.ones(2, 40), use_cache=False)[0]
