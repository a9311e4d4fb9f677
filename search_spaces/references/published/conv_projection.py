"""Attention with convolutional projections against transformers."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from search_spaces.references.attention_projections import example, made
from search_spaces.references.published.attention_projections import image, tokens
from search_spaces.references.published.packages import package_module
from search_spaces.references.registry import published


@published("conv_projection_attention", "CvtSelfAttention (transformers)", "transformers")
def cvt() -> tuple[Tensor, Tensor]:
    """Their batch norms, with statistics that are not trivial, are folded into ours; they divide scores by the root of the
    whole width, so our queries are scaled."""
    module = package_module("transformers.models.cvt.modeling_cvt")
    theirs: Any = (
        module.CvtSelfAttention(3, 24, 3, 1, 1, 1, 2, "dw_bn", True, 0.0, with_cls_token=False).double().eval()
    )
    ours: Any = made("conv_projection_attention", dim=24, heads=3, head_dim=8, kernel=3, stride=2)
    for index, name in enumerate(("query", "key", "value")):
        inner = getattr(theirs, f"convolution_projection_{name}").convolution_projection
        norm = inner.normalization
        norm.running_mean.copy_(example(index, 24))
        norm.running_var.copy_(1 + example(index + 3, 24).abs())
        scale = norm.weight / (norm.running_var + norm.eps).sqrt()
        conv, layer, their_layer = (
            getattr(ours, f"{name}_conv"),
            getattr(ours, name),
            getattr(theirs, f"projection_{name}"),
        )
        conv.weight.data.copy_(inner.convolution.weight * scale[:, None, None, None])
        conv.bias.data.copy_(norm.bias - norm.running_mean * scale)
        layer.load_state_dict(their_layer.state_dict())
    for t in ours.query.parameters():
        t.data *= (8 / 24) ** 0.5
    x = example(9, 2, 24, 7, 9)
    return ours(x), image(ours.out(theirs(tokens(x), 7, 9)), x)
