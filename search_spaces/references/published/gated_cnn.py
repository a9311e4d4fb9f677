"""The gated CNN and star blocks against timm's."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from search_spaces.operators.gated_cnn import GatedCNN, Star
from search_spaces.references.published.packages import package_module
from search_spaces.references.registry import published


@published("gated_cnn", "GatedConvBlock (timm, MambaOut)", "timm")
def mambaout() -> tuple[Tensor, Tensor]:
    """Theirs convolves the last values, ours the first; its norm and skip are taken out."""
    torch.manual_seed(0)
    ours = GatedCNN(dim=16, inner=32, part=8, kernel=7).double()
    theirs = package_module("timm.models.mambaout").GatedConvBlock(16, expansion_ratio=2, conv_ratio=0.5).double()
    theirs.norm = nn.Identity()
    order = [*range(8, 32), *range(8)]
    theirs.fc1.weight.copy_(torch.cat([ours.gate.weight[order], ours.value.weight[order]])[:, :, 0, 0])
    theirs.fc1.bias.copy_(torch.cat([ours.gate.bias[order], ours.value.bias[order]]))  # type: ignore[index]
    theirs.conv.load_state_dict(ours.depthwise.state_dict())
    theirs.fc2.weight.copy_(ours.out.weight[:, order, 0, 0])
    theirs.fc2.bias.copy_(ours.out.bias)
    x = torch.randn(2, 16, 9, 6, dtype=torch.float64)
    return ours(x), theirs(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2) - x


@published("star", "Block (timm, StarNet)", "timm")
def starnet() -> tuple[Tensor, Tensor]:
    """Its norms and its skip are taken out."""
    torch.manual_seed(0)
    ours = Star(dim=16, expansion=3, kernel=7).double()
    theirs = package_module("timm.models.starnet").Block(16, 3).double()
    pairs = (
        (ours.near, theirs.dwconv),
        (ours.gate, theirs.f1),
        (ours.value, theirs.f2),
        (ours.down, theirs.g),
        (ours.far, theirs.dwconv2),
    )
    for mine, other in pairs:
        other.conv.load_state_dict(mine.state_dict())
        other.bn = nn.Identity()
    x = torch.randn(2, 16, 9, 6, dtype=torch.float64)
    return ours(x), theirs(x) - x
