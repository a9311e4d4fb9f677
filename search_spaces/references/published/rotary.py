"""Attention with rotary positions against timm and transformers."""

from __future__ import annotations

import torch
from torch import Tensor

from search_spaces.operators.layers import to_image, to_tokens
from search_spaces.operators.rotary import RotaryAttention, rotations
from search_spaces.references.dense import image, seeded
from search_spaces.references.published.attention import apart, assign, projections
from search_spaces.references.published.packages import package_module
from search_spaces.references.registry import published


def _reordered(op: RotaryAttention, order: Tensor) -> RotaryAttention:
    """A copy with the channels of every head's queries and keys in another order."""
    other = seeded(RotaryAttention, dim=op.qkv.in_features, heads=op.heads, head_dim=op.head_dim)
    other.load_state_dict(op.state_dict())
    with torch.no_grad():
        for part in (other.qkv.weight, other.qkv.bias):
            heads = part.unflatten(0, (3, op.heads, op.head_dim))
            heads[:2] = heads[:2, :, order].clone()
    return other  # type: ignore[no-any-return]


@published("mhsa_rope", "AttentionRope with RotaryEmbeddingCat of base 100 (timm)", "timm")
def timm_rope() -> tuple[Tensor, Tensor]:
    """Theirs turns the first half of the channels with the row, the second with the column."""
    op, x = seeded(RotaryAttention, dim=12, heads=2, head_dim=32), image(2, 12, 7, 5)
    layers = package_module("timm.layers")
    rope = layers.RotaryEmbeddingCat(32, temperature=100.0, in_pixels=False, feat_shape=[7, 5], dtype=torch.float64)
    pairs = torch.arange(32).reshape(8, 2, 2).transpose(0, 1).flatten()
    attention = package_module("timm.layers.attention").AttentionRope
    other = attention(12, num_heads=2, attn_head_dim=32, num_prefix_tokens=0)
    other = assign(other, projections(_reordered(op, pairs), "qkv", "proj"))
    return op(x), to_image(other(to_tokens(x), rope=rope.get_embed()), 7, 5)


@published("mhsa_rope", "DINOv3ViTAttention (transformers) with these angles", "transformers")
def dinov3() -> tuple[Tensor, Tensor]:
    """Theirs pairs a channel of the first half with one of the second."""
    from transformers.models.dinov3_vit.modeling_dinov3_vit import DINOv3ViTAttention, DINOv3ViTConfig

    op, x = seeded(RotaryAttention, dim=24, heads=3, head_dim=8), image(2, 24, 7, 5)
    config = DINOv3ViTConfig(hidden_size=24, num_attention_heads=3, key_bias=True, attn_implementation="eager")  # type: ignore[call-arg]
    halves = torch.arange(8).reshape(4, 2).T.flatten()
    names = apart(_reordered(op, halves), "q_proj", "k_proj", "v_proj", "o_proj")
    angles = tuple(t.repeat(1, 2) for t in rotations(7, 5, 8, x))
    other = assign(DINOv3ViTAttention(config), names)
    return op(x), to_image(other(to_tokens(x), position_embeddings=angles)[0], 7, 5)
