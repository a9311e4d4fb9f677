"""Halo attention against timm, whose blocks at the border also see zeros beyond the image: so without them."""

from __future__ import annotations

from torch import Tensor

from search_spaces.operators.halo import HaloAttention
from search_spaces.operators.layers import to_tokens
from search_spaces.references.dense import image, seeded
from search_spaces.references.published.attention import SIZES, assign
from search_spaces.references.published.packages import package_module
from search_spaces.references.registry import published


@published("halo_attention", "HaloAttn (timm), blocks away from the border, no output map", "timm")
def timm_halo() -> tuple[Tensor, Tensor]:
    op, x = seeded(HaloAttention, block=4, halo=2, **SIZES), image(2, 12, 12, 16)
    other = package_module("timm.layers.halo_attn").HaloAttn(
        12, num_heads=3, dim_head=4, block_size=4, halo_size=2, qkv_bias=True
    )
    weight, bias = (t.unflatten(0, (3, 3, 4)) for t in (op.qkv.weight, op.qkv.bias))
    names = {"q.weight": weight[0], "q.bias": bias[0]}
    names["kv.weight"] = weight[1:].transpose(0, 1)  # theirs: by head, then key and value
    names["kv.bias"] = bias[1:].transpose(0, 1)
    for mine, theirs in (("down", "height_rel"), ("across", "width_rel")):
        table = getattr(op, mine).new_zeros(15, 4)
        table[4:15] = getattr(op, mine).flip(0)  # theirs: key after query, counted from the window's first row
        names[f"pos_embed.{theirs}"] = table
    y = assign(other, names)(x)
    wanted = op.out(to_tokens(y)).transpose(1, 2).unflatten(2, (12, 16))
    return op(x)[:, :, 4:8, 4:12], wanted[:, :, 4:8, 4:12]
