"""The atrous pyramid against transformers' MobileViT head."""

from __future__ import annotations

import torch
from torch import Tensor

from search_spaces.operators.dilated import AtrousPyramid
from search_spaces.references.registry import published


@published("atrous_pyramid", "MobileViTASPP (transformers)", "transformers")
def mobilevit() -> tuple[Tensor, Tensor]:
    """Theirs has norms in place of biases, the image last, and ReLU at the end."""
    from transformers import MobileViTConfig
    from transformers.models.mobilevit.modeling_mobilevit import MobileViTASPP

    torch.manual_seed(0)
    ours = AtrousPyramid(dim=8, inner=8, rates=3, growth=1).double()
    config = MobileViTConfig(neck_hidden_sizes=[8] * 7, aspp_out_channels=8, atrous_rates=[2, 3, 4])
    theirs = MobileViTASPP(config).double().eval()
    mine = [ours.point, *ours.dilated, ours.image]
    layers = [*theirs.convs[:4], theirs.convs[4].conv_1x1]
    for conv, layer in zip(mine, layers, strict=True):
        layer.convolution.weight.copy_(conv.weight)  # type: ignore[union-attr, operator]
        layer.normalization.running_var.fill_(1 - layer.normalization.eps)  # type: ignore[union-attr, operator]
        layer.normalization.bias.copy_(conv.bias)  # type: ignore[union-attr, operator]
    image_last = [*range(8, 40), *range(8)]
    theirs.project.convolution.weight.copy_(ours.out.weight[:, image_last])
    theirs.project.normalization.running_var.fill_(1 - theirs.project.normalization.eps)  # type: ignore[union-attr, operator]
    theirs.project.normalization.bias.copy_(ours.out.bias)  # type: ignore[union-attr, arg-type]
    x = torch.randn(2, 8, 9, 6, dtype=torch.float64)
    return ours(x).clamp(min=0), theirs(x)
