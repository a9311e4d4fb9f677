"""Additive attention against timm. (The form in transformers weighs every token alike: a softmax over one entry.)"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from search_spaces.references.attention_projections import example, made
from search_spaces.references.published.attention_projections import copy, parts
from search_spaces.references.published.packages import package_module
from search_spaces.references.registry import published


@published("efficient_additive_attention", "swiftformer.EfficientAdditiveAttention (timm)", "timm")
def swiftformer() -> tuple[Tensor, Tensor]:
    """With one head: their norms run over all channels."""
    ours: Any = made("efficient_additive_attention", dim=24, heads=1, head_dim=24)
    theirs = package_module("timm.models.swiftformer").EfficientAdditiveAttention(24, 24, 1)
    projections = {
        f"{part}.{name}": t
        for name, whole in ours.query_key.named_parameters()
        for part, t in zip(("to_query", "to_key"), whole.chunk(2), strict=True)
    }
    copy(theirs, **projections, **parts(ours, "mix=proj", "out=final"), w_g=ours.weigh[0])
    x = example(1, 2, 24, 5, 7)
    return ours(x), theirs(x)
