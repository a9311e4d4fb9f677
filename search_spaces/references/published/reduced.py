"""Attention to reduced keys against timm and transformers."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from search_spaces.references.attention_projections import example, made
from search_spaces.references.published.attention_projections import copy, image, parts, tokens
from search_spaces.references.published.packages import package_module
from search_spaces.references.registry import published

DIM, HEADS = 24, 3


def _ours(name: str, **sizes: int) -> Any:
    return made(name, dim=DIM, heads=HEADS, head_dim=DIM // HEADS, **sizes)


@published("reduced_attention", "GlobalSubSampleAttn (timm)", "timm")
def twins() -> tuple[Tensor, Tensor]:
    ours, x = _ours("reduced_attention", ratio=2), example(1, 2, DIM, 6, 8)
    theirs = package_module("timm.models.twins").GlobalSubSampleAttn(DIM, HEADS, sr_ratio=2)
    kv = {f"kv.{p}": torch.cat([getattr(ours.key, p), getattr(ours.value, p)]) for p in ("weight", "bias")}
    copy(theirs, **parts(ours, "query=q", "out=proj", "shrink=sr", "norm=norm"), **kv)
    return ours(x), image(theirs(tokens(x), (6, 8)), x)


@published("reduced_attention", "PvtEfficientSelfAttention (transformers)", "transformers")
def pvt() -> tuple[Tensor, Tensor]:
    module = package_module("transformers.models.pvt.modeling_pvt")
    ours, x = _ours("reduced_attention", ratio=2), example(2, 2, DIM, 6, 8)
    theirs = module.PvtEfficientSelfAttention(module.PvtConfig(layer_norm_eps=1e-5, qkv_bias=True), DIM, HEADS, 2)
    layers = ("query=query", "key=key", "value=value", "shrink=sequence_reduction", "norm=layer_norm")
    copy(theirs, **parts(ours, *layers))
    return ours(x), image(ours.out(theirs(tokens(x), 6, 8)[0]), x)


@published("linear_sra", "pvt_v2.Attention(linear_attn=True) (timm)", "timm")
def pvt_v2() -> tuple[Tensor, Tensor]:
    ours, x = _ours("linear_sra", side=7), example(3, 2, DIM, 16, 9)
    theirs = package_module("timm.models.pvt_v2").Attention(DIM, HEADS, linear_attn=True)
    kv = {f"kv.{p}": torch.cat([getattr(ours.key, p), getattr(ours.value, p)]) for p in ("weight", "bias")}
    copy(
        theirs,
        **parts(ours, "query=q", "out=proj", "norm=norm"),
        **kv,
        sr__weight=ours.map.weight[:, :, None, None],
        sr__bias=ours.map.bias,
    )
    return ours(x), image(theirs(tokens(x), (16, 9)), x)


@published("e_mhsa", "nextvit.EfficientAttention (timm)", "timm")
def next_vit() -> tuple[Tensor, Tensor]:
    """Theirs averages four consecutive tokens: given the pixels block by block, that is a block of 2 x 2."""
    ours, x = _ours("e_mhsa", ratio=2), example(4, 2, DIM, 6, 8)
    theirs = package_module("timm.models.nextvit").EfficientAttention(DIM, head_dim=DIM // HEADS, sr_ratio=2)
    norm = {"norm." + name: t for name, t in theirs.double().norm.state_dict().items()}
    norm["norm.weight"] = (theirs.norm.running_var + theirs.norm.eps).sqrt()  # makes the norm do nothing
    copy(theirs, **parts(ours, "query=q", "key=k", "value=v", "out=proj"), **norm)
    order = torch.arange(48).view(3, 2, 4, 2).transpose(1, 2).flatten()
    mixed = theirs(tokens(x)[:, order])[:, order.argsort()]
    return ours(x), image(mixed, x)


@published("pooling_attention", "mvitv2.MultiScaleAttention (timm)", "timm")
def mvit() -> tuple[Tensor, Tensor]:
    ours, x = _ours("pooling_attention", kernel=3, stride=2), example(5, 2, DIM, 6, 8)
    theirs = package_module("timm.models.mvitv2").MultiScaleAttention(
        DIM,
        DIM,
        (6, 8),
        HEADS,
        kernel_kv=(3, 3),
        stride_kv=(2, 2),
        has_cls_token=False,
        rel_pos_type="",
        residual_pooling=False,
    )
    layers = ("qkv=qkv", "out=proj", "pool_key=pool_k", "pool_value=pool_v", "norm_key=norm_k", "norm_value=norm_v")
    copy(theirs, **parts(ours, *layers))
    return ours(x), image(theirs(tokens(x), (6, 8))[0], x)


@published("lowformer_attention", "lowformer.ConvAttention (timm)", "timm")
def lowformer() -> tuple[Tensor, Tensor]:
    """An image whose sides the stride does not divide. Their rows are grouped by head first, ours by query, key, value."""
    dim = 60
    theirs = package_module("timm.models.lowformer").ConvAttention(dim, 1.0, att_stride=2, att_kernel=5).double().eval()
    heads, head_dim = theirs.num_heads, theirs.head_dim
    ours: Any = made("lowformer_attention", dim=dim, heads=heads, head_dim=head_dim, kernel=5, stride=2)
    norm = theirs.conv_proj.norm
    norm.running_mean.copy_(example(7, dim))
    norm.bias.data.copy_(example(8, dim))
    scale = norm.weight / (norm.running_var + norm.eps).sqrt()
    ours.down.weight.data.copy_(theirs.conv_proj.conv.weight * scale[:, None, None, None])
    ours.down.bias.data.copy_(norm.bias - norm.running_mean * scale)
    by_head = theirs.pwise.weight.flatten(1).view(heads, 3, head_dim, dim)
    ours.qkv.weight.data.copy_(by_head.transpose(0, 1).flatten(0, 2))
    ours.qkv.bias.data.zero_()
    ours.out.weight.data.copy_(theirs.o_proj.weight.flatten(1))
    ours.out.bias.data.copy_(theirs.o_proj.bias)
    ours.up.load_state_dict(theirs.upsampling.state_dict())
    x = example(6, 2, dim, 9, 7)
    return ours(x), theirs(x)
