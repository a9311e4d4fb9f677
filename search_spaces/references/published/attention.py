"""Global attention against PyTorch, timm and transformers."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from search_spaces.operators.attention import MultiHeadAttention, ReluAttention
from search_spaces.operators.layers import to_image, to_tokens
from search_spaces.references.dense import image, seeded
from search_spaces.references.published.packages import package_module
from search_spaces.references.registry import published
from search_spaces.references.window import without_position

SIZES = {"dim": 12, "heads": 3, "head_dim": 4}


def assign(module: nn.Module, values: dict[str, Tensor]) -> Any:
    """Copies ``values`` into the parameters and buffers of those names; ``module`` in float64 and evaluation mode."""
    module = module.double().eval()
    known = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    with torch.no_grad():
        for name, value in values.items():
            known[name].copy_(value.reshape(known[name].shape))
    return module


def projections(op: Any, qkv: str, out: str) -> dict[str, Tensor]:
    """Weights and biases of ``qkv`` and ``out`` under the names of another package."""
    mine = {f"{qkv}.{part}": getattr(op.qkv, part) for part in ("weight", "bias")}
    return {**mine, **{f"{out}.{part}": getattr(op.out, part) for part in ("weight", "bias")}}


def apart(op: Any, *names: str) -> dict[str, Tensor]:
    """The same where queries, keys, values and output are four layers of those names."""
    found = {f"{names[3]}.{part}": getattr(op.out, part) for part in ("weight", "bias")}
    for part in ("weight", "bias"):
        thirds = getattr(op.qkv, part).chunk(3)
        found.update({f"{name}.{part}": third for name, third in zip(names, thirds, strict=False)})
    return found


def last(x: Tensor) -> Tensor:
    """``(B, C, H, W)`` -> ``(B, H, W, C)``."""
    return x.permute(0, 2, 3, 1)


def first(x: Tensor) -> Tensor:
    """``(B, H, W, C)`` -> ``(B, C, H, W)``."""
    return x.permute(0, 3, 1, 2)


def _bare() -> Any:
    return without_position(seeded(MultiHeadAttention, **SIZES), "position.weight", "position.bias")


@published("mhsa", "MultiheadAttention (torch), without LePE", "torch")
def torch_attention() -> tuple[Tensor, Tensor]:
    op, x = _bare(), image(2, 12, 7, 5)
    other = nn.MultiheadAttention(12, 3, batch_first=True)
    names = {"in_proj_weight": op.qkv.weight, "in_proj_bias": op.qkv.bias}
    other = assign(other, {**names, "out_proj.weight": op.out.weight, "out_proj.bias": op.out.bias})
    tokens = to_tokens(x)
    return op(x), to_image(other(tokens, tokens, tokens)[0], 7, 5)


@published("mhsa", "Attention (timm), without LePE", "timm")
def timm_attention() -> tuple[Tensor, Tensor]:
    op, x = _bare(), image(2, 12, 7, 5)
    other = package_module("timm.layers").Attention(12, num_heads=3, qkv_bias=True)
    return op(x), to_image(assign(other, projections(op, "qkv", "proj"))(to_tokens(x)), 7, 5)


@published("mhsa", "ViTAttention (transformers), without LePE", "transformers")
def vit_attention() -> tuple[Tensor, Tensor]:
    from transformers.models.vit.modeling_vit import ViTAttention, ViTConfig

    op, x = _bare(), image(2, 12, 7, 5)
    other = ViTAttention(ViTConfig(hidden_size=12, num_attention_heads=3, attn_implementation="eager"))  # type: ignore[call-arg]
    other = assign(other, apart(op, "q_proj", "k_proj", "v_proj", "o_proj"))
    return op(x), to_image(other(to_tokens(x))[0], 7, 5)


@published("relu_attention", "LiteMLA (timm) of one scale, without LePE", "timm")
def lite_mla() -> tuple[Tensor, Tensor]:
    op, x = seeded(ReluAttention, **SIZES), image(2, 12, 7, 5)
    without_position(op, "position.weight", "position.bias", "qkv.bias", "out.bias")
    lite = package_module("timm.models.efficientvit_mit").LiteMLA
    other = lite(12, 12, heads=3, dim=4, norm_layer=(None, None), scales=(), eps=1e-6)
    weight = op.qkv.weight.unflatten(0, (3, 3, 4)).transpose(0, 1)  # theirs: by head, then query, key and value
    return op(x), assign(other, {"qkv.conv.weight": weight, "proj.conv.weight": op.out.weight})(x)
