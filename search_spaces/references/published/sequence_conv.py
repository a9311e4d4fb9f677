"""Short convolutions against transformers' LFM2, all of the mixer."""

from __future__ import annotations

import torch
from torch import Tensor

from search_spaces.operators.sequence_conv import SequenceShortConv
from search_spaces.references.published.packages import package_module
from search_spaces.references.registry import published


@published("sequence_short_conv", "Lfm2ShortConv (transformers)", "transformers")
def lfm2() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    module = package_module("transformers.models.lfm2.modeling_lfm2")
    config = module.Lfm2Config(
        hidden_size=8, conv_L_cache=3, conv_bias=False, num_hidden_layers=1, layer_types=["conv"]
    )
    theirs = module.Lfm2ShortConv(config, 0).double().eval()
    op, x = SequenceShortConv(dim=8, expansion=1, kernel=3, causal=1).double(), torch.randn(2, 20, 8).double()
    with torch.no_grad():
        theirs.in_proj.weight.copy_(op.gates.weight)
        theirs.conv.weight.copy_(op.conv.weight)
        theirs.out_proj.weight.copy_(op.out.weight)
        return op(x), theirs(x)
