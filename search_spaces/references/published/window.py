"""Window attention and relative positions against timm and transformers."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from search_spaces.operators.layers import to_image, to_tokens
from search_spaces.operators.window import RelativeAttention, WindowAttention
from search_spaces.references.dense import image, seeded
from search_spaces.references.published.attention import SIZES, apart, assign, first, last, projections
from search_spaces.references.published.packages import package_module
from search_spaces.references.registry import published


def flat_table(op: Any) -> Tensor:
    """The table as ``(offsets, heads)``."""
    return op.table.flatten(1).T  # type: ignore[no-any-return]


@published("window_attention", "SwinTransformerBlock._attn (timm)", "timm")
def timm_window() -> tuple[Tensor, Tensor]:
    return _timm_swin(0)


@published("window_attention", "SwinTransformerBlock._attn (timm), shifted", "timm")
def timm_shifted() -> tuple[Tensor, Tensor]:
    return _timm_swin(1)


def _timm_swin(shift: int) -> tuple[Tensor, Tensor]:
    op, x = seeded(WindowAttention, window=4, shift=shift, **SIZES), image(2, 12, 12, 8)
    block = package_module("timm.models.swin_transformer").SwinTransformerBlock
    other = block(12, (12, 8), num_heads=3, window_size=4, shift_size=2 * shift)
    names = {**projections(op, "attn.qkv", "attn.proj"), "attn.relative_position_bias_table": flat_table(op)}
    return op(x), first(assign(other, names)._attn(last(x)))


@published("window_attention", "SwinLayer (transformers), shifted, without norm and MLP", "transformers")
def transformers_shifted() -> tuple[Tensor, Tensor]:
    from transformers.models.swin.modeling_swin import SwinConfig, SwinLayer

    op, x = seeded(WindowAttention, window=4, shift=1, **SIZES), image(2, 12, 12, 8)
    config = SwinConfig(window_size=4, hidden_dropout_prob=0.0, attn_implementation="eager")  # type: ignore[call-arg]
    other = SwinLayer(config, 12, (12, 8), 3, shift_size=2)
    other.layernorm_before, other.mlp = nn.Identity(), _Zero()  # type: ignore[assignment]
    names = apart(op, *(f"attention.{name}_proj" for name in "qkvo"))
    names["attention.relative_position_bias.relative_position_bias_table"] = flat_table(op)
    y = assign(other, names)(to_tokens(x), (12, 8))
    return op(x), to_image((y[0] if isinstance(y, tuple) else y) - to_tokens(x), 12, 8)


class _Zero(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.zeros_like(x)


@published("mhsa_relative", "RelPosAttention with RelPosBias (timm)", "timm")
def timm_relative() -> tuple[Tensor, Tensor]:
    op, x = seeded(RelativeAttention, reach=6, **SIZES), image(2, 12, 7, 7)
    bias = partial(package_module("timm.layers").RelPosBias, window_size=(7, 7))
    attention = package_module("timm.models.vision_transformer_relpos").RelPosAttention
    other = attention(12, num_heads=3, qkv_bias=True, rel_pos_cls=bias)
    names = {**projections(op, "qkv", "proj"), "rel_pos.relative_position_bias_table": flat_table(op)}
    return op(x), to_image(assign(other, names)(to_tokens(x)), 7, 7)
