"""Strip self-attention: fewer keys, and thinner queries and keys."""

from __future__ import annotations

import math

from torch import Tensor, nn

from search_spaces.operators.attention_projections import ReducedKeys, pad_to_multiple
from search_spaces.operators.layers import to_tokens
from search_spaces.operators.registry import register


@register
class StripAttention(ReducedKeys):
    """Strip self-attention of S2AFormer (Xu et al., arXiv 2505.22195): keys and values are reduced in space, queries and keys
    in channels, so the scores cost ``N * N/ratio^2 * inner * key_dim/head_dim``. The two reductions are independent.
    The reduction in space is a depthwise convolution whose kernel is its stride.

    Args:
        key_dim: channels of a head in queries and keys; ``head_dim`` compresses nothing.
        ratio: stride of keys and values along each side; 1 reduces nothing.
    """

    name = "strip_attention"
    elastic = {**ReducedKeys.elastic, "key_dim": (2, 4, 8), "ratio": (1, 2, 4)}
    layout = {**ReducedKeys.layout, "shrink.weight": "dim 1 ratio ratio", "shrink.bias": "dim"}

    def __init__(self, dim: int, heads: int, head_dim: int, key_dim: int, ratio: int) -> None:
        super().__init__(dim, heads, head_dim, key_dim)
        self.ratio = ratio
        self.shrink = nn.Conv2d(dim, dim, ratio, stride=ratio, groups=dim) if ratio > 1 else None

    def reduce(self, x: Tensor) -> Tensor:
        return to_tokens(x if self.shrink is None else self.shrink(pad_to_multiple(x, self.ratio)))

    @classmethod
    def reduce_work(cls, height: int, width: int, **sizes: int) -> tuple[int, int, int]:
        dim, ratio = sizes["dim"], sizes["ratio"]
        keys = math.ceil(height / ratio) * math.ceil(width / ratio)
        return (keys, keys * dim * ratio**2, keys * dim) if ratio > 1 else (keys, 0, 0)
