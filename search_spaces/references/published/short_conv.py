"""The gated short convolution against transformers' LFM2."""

from __future__ import annotations

import torch
from torch import Tensor

from search_spaces.operators.short_conv import ShortConv
from search_spaces.references.registry import published


@published("short_conv", "Lfm2ShortConv (transformers)", "transformers")
def lfm2() -> tuple[Tensor, Tensor]:
    """On an image of one row with a kernel that looks back only, which is what theirs does on sequences."""
    from transformers import Lfm2Config
    from transformers.models.lfm2.modeling_lfm2 import Lfm2ShortConv

    torch.manual_seed(0)
    ours = ShortConv(dim=16, expansion=1, kernel=5).double()
    config = Lfm2Config(hidden_size=16, conv_L_cache=3, conv_bias=True, num_hidden_layers=1, layer_types=["conv"])
    theirs = Lfm2ShortConv(config, 0).double()
    ours.depthwise.weight.zero_()
    ours.depthwise.weight[:, 0, 2, :3] = theirs.conv.weight[:, 0]
    theirs.conv.bias.zero_()  # type: ignore[union-attr]
    for mine, other in ((ours.gates, theirs.in_proj), (ours.out, theirs.out_proj)):
        mine.weight.copy_(other.weight[:, :, None, None])
        mine.bias.copy_(other.bias)  # type: ignore[union-attr]
    x = torch.randn(2, 16, 1, 20, dtype=torch.float64)
    return ours(x)[:, :, 0].mT, theirs(x[:, :, 0].mT)
