"""Attention between channels against timm."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from search_spaces.references.attention_projections import example, made
from search_spaces.references.published.attention_projections import copy, image, parts, tokens
from search_spaces.references.published.packages import package_module
from search_spaces.references.registry import published

DIM, HEADS = 24, 3


def _ours(name: str, **sizes: int) -> Any:
    ours = made(name, dim=DIM, heads=HEADS, head_dim=DIM // HEADS, **sizes)
    if hasattr(ours, "temperature"):
        ours.temperature.data.copy_(1 + example(0, HEADS, 1, 1).abs())
    return ours


@published("xca", "xcit.XCA (timm)", "timm")
def xcit() -> tuple[Tensor, Tensor]:
    ours, x = _ours("xca"), example(1, 2, DIM, 5, 7)
    theirs = package_module("timm.models.xcit").XCA(DIM, HEADS, qkv_bias=True)
    copy(theirs, **parts(ours, "qkv=qkv", "out=proj"), temperature=ours.temperature)
    return ours(x), image(theirs(tokens(x)), x)


@published("channel_group_attention", "davit.ChannelAttention (timm)", "timm")
def davit() -> tuple[Tensor, Tensor]:
    """What they call key, value and query are the paper's query, key and value."""
    ours, x = _ours("channel_group_attention"), example(2, 2, DIM, 5, 7)
    theirs = package_module("timm.models.davit").ChannelAttention(DIM, HEADS, qkv_bias=True)
    turned = {f"qkv.{name}": torch.cat([t[2 * DIM :], t[: 2 * DIM]]) for name, t in ours.qkv.named_parameters()}
    copy(theirs, **turned, **parts(ours, "out=proj"))
    return ours(x), image(theirs(tokens(x)), x)


@published("stda", "edgenext.SplitTransposeBlock (timm)", "timm")
def edgenext() -> tuple[Tensor, Tensor]:
    """Their block without its MLP, LayerScale and outer skip."""
    ours, x = _ours("stda", kernel=3, splits=3), example(3, 2, DIM, 5, 7)
    block: Any = package_module("timm.models.edgenext").SplitTransposeBlock(DIM, 3, HEADS, use_pos_emb=False).double()
    for index, conv in enumerate(block.convs):
        mine = slice(index * DIM // 3, (index + 1) * DIM // 3)
        conv.load_state_dict({"weight": ours.cascade.weight[mine], "bias": ours.cascade.bias[mine]})
    copy(block.xca, **parts(ours, "qkv=qkv", "out=proj"), temperature=ours.temperature)
    block.norm_xca.load_state_dict(ours.norm.state_dict())
    block.norm_xca.eps = ours.norm.eps
    block.gamma_xca.data.fill_(1)
    block.gamma, block.norm, block.mlp = None, nn.Identity(), nn.Identity()
    return ours(x), block.double().eval()(x) - x
