"""Nystrom attention against transformers."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from search_spaces.references.attention_projections import example, made
from search_spaces.references.published.attention_projections import copy, image, tokens
from search_spaces.references.published.packages import package_module
from search_spaces.references.registry import published


@published("nystrom_attention", "NystromformerSelfAttention (transformers)", "transformers")
def nystromformer() -> tuple[Tensor, Tensor]:
    """Eight landmarks of six tokens; their scale of the first iterate is the exact one of each head."""
    module = package_module("transformers.models.nystromformer.modeling_nystromformer")
    config = module.NystromformerConfig(
        hidden_size=24,
        num_attention_heads=3,
        num_landmarks=8,
        segment_means_seq_len=48,
        conv_kernel_size=5,
        inv_coeff_init_option=False,
    )
    ours: Any = made("nystrom_attention", dim=24, heads=3, head_dim=8, landmarks=8, iterations=6, kernel=5)
    theirs: Any = module.NystromformerSelfAttention(config)
    projections = {
        f"{part}.{name}": t
        for name, whole in ours.qkv.named_parameters()
        for part, t in zip(("query", "key", "value"), whole.chunk(3), strict=True)
    }
    copy(theirs, **projections, conv__weight=ours.local.weight).init_option = "exact"
    x = example(1, 2, 24, 6, 8)
    return ours(x), image(ours.out(theirs(tokens(x))[0]), x)
