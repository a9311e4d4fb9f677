"""Focal modulation against timm's and transformers'."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from search_spaces.operators.modulation import FocalModulation
from search_spaces.references.published.packages import package_module
from search_spaces.references.registry import published


def _give_weights(ours: FocalModulation, enter: Any, focal: Any, modulate: Any, out: Any) -> None:
    """Their one projection has query, context and then the gates, the whole image's last."""
    query_context, local_first = ours.enter, [1, 2, 0]
    weight = torch.cat([query_context.weight, ours.gates.weight[local_first]])
    enter.weight.copy_(weight.view_as(enter.weight))
    enter.bias.copy_(torch.cat([query_context.bias, ours.gates.bias[local_first]]))  # type: ignore[index, list-item]
    for mine, other in zip(ours.contexts, focal, strict=True):
        other[0].load_state_dict(mine.state_dict())
    modulate.load_state_dict(ours.modulate.state_dict())
    out.weight.copy_(ours.out.weight.view_as(out.weight))
    out.bias.copy_(ours.out.bias)


@published("focal_modulation", "FocalModulation (timm)", "timm")
def timm_modulation() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    ours = FocalModulation(dim=16, inner=16, levels=2, kernel=3).double()
    theirs = package_module("timm.models.focalnet").FocalModulation(16, focal_window=3, focal_level=2).double()
    _give_weights(ours, theirs.f, theirs.focal_layers, theirs.h, theirs.proj)
    x = torch.randn(2, 16, 9, 6, dtype=torch.float64)
    return ours(x), theirs(x)


@published("focal_modulation", "FocalNetModulation (transformers)", "transformers")
def transformers_modulation() -> tuple[Tensor, Tensor]:
    from transformers import FocalNetConfig
    from transformers.models.focalnet.modeling_focalnet import FocalNetModulation

    torch.manual_seed(0)
    ours = FocalModulation(dim=16, inner=16, levels=2, kernel=3).double()
    theirs = FocalNetModulation(FocalNetConfig(focal_levels=[2] * 4, focal_windows=[3] * 4), 0, 16).double()
    _give_weights(ours, theirs.projection_in, theirs.focal_layers, theirs.projection_context, theirs.projection_out)
    x = torch.randn(2, 16, 9, 6, dtype=torch.float64)
    return ours(x), theirs(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
