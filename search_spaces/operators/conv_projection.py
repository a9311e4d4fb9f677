"""Attention whose projections are convolutions."""

from __future__ import annotations

import math

from torch import Tensor, nn

from search_spaces.operators.attention_projections import (
    CheckedMixer,
    attention_work,
    merge_heads,
    softmax_attention,
    split_heads,
)
from search_spaces.operators.layers import to_image, to_tokens
from search_spaces.operators.registry import register


@register
class ConvProjectionAttention(CheckedMixer):
    """Convolutional projection attention of CvT (Wu et al., arXiv 2103.15808): queries, keys and values each come from a
    depthwise convolution and a linear map; keys and values may be strided. The published batch norms are folded into the
    depthwise convolutions. Position comes from the convolutions alone.

    Args:
        dim: channels in and out.
        heads: number of heads.
        head_dim: channels of a head.
        kernel: odd side of the depthwise kernels; 1 is the linear projection.
        stride: of keys and values.
    """

    name, family = "conv_projection_attention", "attention"
    elastic = {"heads": (2, 4, 6), "head_dim": (8, 16), "kernel": (1, 3, 5), "stride": (1, 2)}
    layout = {
        **{f"{part}_conv.weight": "dim 1 kernel@centre kernel@centre" for part in ("query", "key", "value")},
        **{f"{part}_conv.bias": "dim" for part in ("query", "key", "value")},
        **{f"{part}.weight": "(heads head_dim) dim" for part in ("query", "key", "value")},
        **{f"{part}.bias": "(heads head_dim)" for part in ("query", "key", "value")},
        "out.weight": "dim (heads head_dim)",
        "out.bias": "dim",
    }

    def __init__(self, dim: int, heads: int, head_dim: int, kernel: int, stride: int) -> None:
        super().__init__()
        inner, padding = heads * head_dim, kernel // 2
        self.heads = heads
        self.query_conv = nn.Conv2d(dim, dim, kernel, padding=padding, groups=dim)
        self.key_conv = nn.Conv2d(dim, dim, kernel, stride=stride, padding=padding, groups=dim)
        self.value_conv = nn.Conv2d(dim, dim, kernel, stride=stride, padding=padding, groups=dim)
        self.query, self.key, self.value = (nn.Linear(dim, inner) for _ in range(3))
        self.out = nn.Linear(inner, dim)

    def forward(self, x: Tensor) -> Tensor:
        q = self.query(to_tokens(self.query_conv(x)))
        k = self.key(to_tokens(self.key_conv(x)))
        v = self.value(to_tokens(self.value_conv(x)))
        mixed = softmax_attention(*(split_heads(t, self.heads) for t in (q, k, v)))
        return to_image(self.out(merge_heads(mixed)), *x.shape[2:])

    @classmethod
    def work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        tokens, dim, heads, head_dim = height * width, sizes["dim"], sizes["heads"], sizes["head_dim"]
        inner, stride = heads * head_dim, sizes["stride"]
        keys = math.ceil(height / stride) * math.ceil(width / stride)
        projected = tokens + 2 * keys
        macs, activations = attention_work(tokens, keys, heads, head_dim, head_dim)
        macs += projected * dim * (sizes["kernel"] ** 2 + inner) + tokens * inner * dim
        return macs, activations + projected * (dim + inner) + tokens * dim
