"""Linear attention against timm."""

from __future__ import annotations

from typing import Any
from unittest import mock

import torch
from torch import Tensor

from search_spaces.references.attention_projections import example, made
from search_spaces.references.published.packages import package_module
from search_spaces.references.registry import published


@published("lite_mla", "efficientvit_mit.LiteMLA (timm)", "timm")
def efficientvit() -> tuple[Tensor, Tensor]:
    """Their rows are grouped by head first, ours by query, key, value; their cast to float32 is held back."""
    module = package_module("timm.models.efficientvit_mit")
    theirs: Any = module.LiteMLA(24, 24, heads=3, dim=8, scales=(3, 5), eps=1e-6).double().eval()
    ours: Any = made("lite_mla", dim=24, heads=3, head_dim=8, scales=2, kernel=3)

    def by_part(rows: Tensor) -> Tensor:
        return rows.unflatten(0, (3, 3, 8)).transpose(0, 1).flatten(0, 2)

    norm = theirs.proj.norm
    norm.running_mean.copy_(example(1, 24))
    norm.bias.data.copy_(example(2, 24))
    scale = norm.weight / (norm.running_var + norm.eps).sqrt()
    ours.qkv.weight.data.copy_(by_part(theirs.qkv.conv.weight))
    for mine, other in zip(ours.aggregate, theirs.aggreg, strict=True):
        for layer, their_layer in zip(mine, other, strict=True):
            layer.weight.data.copy_(by_part(their_layer.weight))
    ours.out.weight.data.copy_(theirs.proj.conv.weight * scale[:, None, None, None])
    ours.out.bias.data.copy_(norm.bias - norm.running_mean * scale)
    x = example(3, 2, 24, 5, 7)
    with mock.patch.object(torch.Tensor, "float", torch.Tensor.double):
        return ours(x), theirs(x)
