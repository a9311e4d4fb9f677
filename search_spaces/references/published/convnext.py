"""The ConvNeXt-like block against timm's and transformers'."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from search_spaces.operators.convnext import ConvNeXt
from search_spaces.references.published.packages import package_module
from search_spaces.references.registry import published


@published("convnext", "ConvNeXtBlock (timm)", "timm")
def timm_block() -> tuple[Tensor, Tensor]:
    """Theirs has its norm after the depthwise convolution, where ours has none, and the skip inside."""
    torch.manual_seed(0)
    ours = ConvNeXt(dim=16, expansion=4, kernel=7).double()
    theirs = package_module("timm.models.convnext").ConvNeXtBlock(16, ls_init_value=None).double()
    theirs.norm = nn.Identity()
    theirs.conv_dw.load_state_dict(ours.depthwise.state_dict())
    for mine, other in ((ours.up, theirs.mlp.fc1), (ours.down, theirs.mlp.fc2)):
        other.weight.copy_(mine.weight[:, :, 0, 0])
        other.bias.copy_(mine.bias)  # type: ignore[arg-type]
    x = torch.randn(2, 16, 9, 6, dtype=torch.float64)
    return ours(x), theirs(x) - x


@published("convnext", "ConvNextLayer (transformers)", "transformers")
def transformers_layer() -> tuple[Tensor, Tensor]:
    from transformers import ConvNextConfig
    from transformers.models.convnext.modeling_convnext import ConvNextLayer

    torch.manual_seed(0)
    ours = ConvNeXt(dim=16, expansion=4, kernel=7).double()
    theirs = ConvNextLayer(ConvNextConfig(layer_scale_init_value=0.0), 16).double()
    theirs.layernorm = nn.Identity()  # type: ignore[assignment]
    theirs.dwconv.load_state_dict(ours.depthwise.state_dict())
    for mine, other in ((ours.up, theirs.pwconv1), (ours.down, theirs.pwconv2)):
        other.weight.copy_(mine.weight[:, :, 0, 0])
        other.bias.copy_(mine.bias)  # type: ignore[arg-type]
    x = torch.randn(2, 16, 9, 6, dtype=torch.float64)
    return ours(x), theirs(x) - x
