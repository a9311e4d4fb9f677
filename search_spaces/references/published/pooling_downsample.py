"""Pooling attention between two stages against timm."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from search_spaces.references.attention_projections import example, made
from search_spaces.references.published.attention_projections import image, parts, tokens
from search_spaces.references.published.packages import package_module
from search_spaces.references.registry import published


@published("pooling_downsample", "mvitv2.MultiScaleBlock (timm)", "timm")
def mvit() -> tuple[Tensor, Tensor]:
    """Their block without its MLP, whose last map is set to zero."""
    ours: Any = made("pooling_downsample", dim_in=24, dim_out=48, heads=3, head_dim=16, kernel=3, stride=4)
    theirs: Any = package_module("timm.models.mvitv2").MultiScaleBlock(
        24,
        48,
        3,
        (8, 12),
        kernel_q=(3, 3),
        kernel_kv=(3, 3),
        stride_q=(2, 2),
        stride_kv=(4, 4),
        has_cls_token=False,
        expand_attn=True,
        rel_pos_type="",
        residual_pooling=False,
    )
    layers = parts(ours, "norm=norm1", "qkv=attn.qkv", "out=attn.proj")
    for index, name in enumerate("qkv"):
        layers |= parts(ours, f"pool.{index}=attn.pool_{name}", f"norms.{index}=attn.norm_{name}")
    layers |= {"shortcut_proj_attn.weight": ours.widen.weight.flatten(1), "shortcut_proj_attn.bias": ours.widen.bias}
    theirs.double().eval()
    rest = {name: t for name, t in theirs.state_dict().items() if name.startswith(("norm2", "mlp"))}
    rest |= {name: t * 0 for name, t in rest.items() if name.startswith("mlp.fc2")}
    theirs.load_state_dict({**layers, **rest})
    theirs.norm1.eps = ours.norm.eps
    x = example(1, 2, 24, 8, 12)
    wanted, _ = theirs(tokens(x), (8, 12))
    got = ours(x)
    return got, image(wanted, got)
