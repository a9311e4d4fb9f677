"""CrossFormer's attentions against vit-pytorch, whose bias network serves all heads alike and is compared by itself."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from search_spaces.operators.long_short import DynamicBias, LongDistanceAttention, ShortDistanceAttention
from search_spaces.references.dense import image, seeded
from search_spaces.references.published.attention import SIZES, assign
from search_spaces.references.registry import published
from search_spaces.references.window import without_position


def _theirs(op: Any, kind: str) -> Any:
    from vit_pytorch.crossformer import Attention  # type: ignore[import-not-found]

    other = Attention(12, kind, 4, dim_head=4)
    other.norm = nn.Identity()
    values = {"to_qkv.weight": op.qkv.weight, "to_out.weight": op.out.weight, "to_out.bias": op.out.bias}
    return assign(other, {**values, "dpb.9.weight": torch.zeros(3), "dpb.9.bias": torch.zeros(1)}).float()


SILENT = ("qkv.bias", "bias.maps.2.weight", "bias.maps.2.bias")


@published("short_distance_attention", "Attention 'short' (vit-pytorch), without bias", "vit-pytorch")
def short() -> tuple[Tensor, Tensor]:
    op, x = seeded(ShortDistanceAttention, group=4, bias_dim=8, **SIZES), image(2, 12, 12, 8)
    without_position(op, *SILENT)
    return op(x).float(), _theirs(op, "short")(x.float())


@published("long_distance_attention", "Attention 'long' (vit-pytorch), without bias", "vit-pytorch")
def long() -> tuple[Tensor, Tensor]:
    op, x = seeded(LongDistanceAttention, interval=3, bias_dim=8, **SIZES), image(2, 12, 12, 12)
    without_position(op, *SILENT)
    return op(x).float(), _theirs(op, "long")(x.float())


@published("mhsa_dynamic_bias", "DynamicPositionBias (vit-pytorch), the bias network of one head", "vit-pytorch")
def network() -> tuple[Tensor, Tensor]:
    from vit_pytorch.crossformer import DynamicPositionBias

    bias = seeded(DynamicBias, heads=1, hidden=8)
    parts = (bias.first, *(part for pair in zip(bias.norms, bias.maps, strict=True) for part in pair))
    places = (0, 1, 3, 4, 6, 7, 9)  # of their layers, with a ReLU after every norm
    names = {f"{n}.{k}": v for n, part in zip(places, parts, strict=True) for k, v in part.named_parameters()}
    grid = torch.stack(torch.meshgrid(torch.arange(-3.0, 4), torch.arange(-4.0, 5), indexing="ij"), -1).double()
    return bias(4, 5)[0], assign(DynamicPositionBias(8), names)(grid)
