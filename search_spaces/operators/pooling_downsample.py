"""Pooling attention between two stages: strided queries halve the resolution."""

from __future__ import annotations

import math

import torch.nn.functional as F
from torch import Tensor, nn

from search_spaces.operators.attention_parts import summed
from search_spaces.operators.attention_projections import (
    CheckedMixer,
    attention_work,
    merge_heads,
    softmax_attention,
    split_heads,
)
from search_spaces.operators.layers import ChannelNorm, to_image, to_tokens
from search_spaces.operators.registry import register


@register
class PoolingDownsample(CheckedMixer):
    """The block of MViT between two stages (Fan et al., arXiv 2104.11227): pooling attention whose queries are pooled with
    stride 2, plus the largest of each 3x3 neighbourhood of the widened input. Pooling is a depthwise convolution and a
    norm, which the heads share.

    Args:
        dim_in: channels of the stage before.
        dim_out: channels of the stage after.
        heads: number of heads.
        head_dim: channels of a head.
        kernel: odd side of the pooling kernels.
        stride: of keys and values.
    """

    name, role, family = "pooling_downsample", "downsample", "attention"
    elastic = {
        "dim_in": (16, 24),
        "dim_out": (32, 48),
        "heads": (2, 4),
        "head_dim": (8, 16),
        "kernel": (3, 5),
        "stride": (2, 4),
    }
    layout = {
        "norm.weight": "dim_in",
        "norm.bias": "dim_in",
        "qkv.weight": "(3 heads head_dim) dim_in",
        "qkv.bias": "(3 heads head_dim)",
        **{f"pool.{part}.weight": "head_dim 1 kernel@centre kernel@centre" for part in range(3)},
        **{f"norms.{part}.weight": "head_dim" for part in range(3)},
        **{f"norms.{part}.bias": "head_dim" for part in range(3)},
        "out.weight": "dim_out (heads head_dim)",
        "out.bias": "dim_out",
        "widen.weight": "dim_out dim_in 1 1",
        "widen.bias": "dim_out",
    }

    def __init__(self, dim_in: int, dim_out: int, heads: int, head_dim: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = ChannelNorm(dim_in)
        self.qkv = nn.Linear(dim_in, 3 * heads * head_dim)
        self.pool = nn.ModuleList(
            nn.Conv2d(head_dim, head_dim, kernel, stride=s, padding=kernel // 2, groups=head_dim, bias=False)
            for s in (2, stride, stride)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(head_dim) for _ in range(3))
        self.out = nn.Linear(heads * head_dim, dim_out)
        self.widen = nn.Conv2d(dim_in, dim_out, 1)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[2:]
        x = self.norm(x)
        pooled = []
        for part, pool, norm in zip(self.qkv(to_tokens(x)).chunk(3, -1), self.pool, self.norms, strict=True):
            heads = split_heads(part, self.heads)
            maps = pool(to_image(heads.flatten(0, 1), height, width))
            pooled.append(norm(to_tokens(maps)).unflatten(0, heads.shape[:2]))
        skip = F.max_pool2d(self.widen(x), 3, 2, 1)
        return skip + to_image(self.out(merge_heads(softmax_attention(*pooled))), *skip.shape[2:])

    @classmethod
    def output_shape(cls, shape: tuple[int, ...], **sizes: int) -> tuple[int, ...]:
        return sizes["dim_out"], math.ceil(shape[1] / 2), math.ceil(shape[2] / 2)

    @classmethod
    def work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        tokens, heads, head_dim, stride = height * width, sizes["heads"], sizes["head_dim"], sizes["stride"]
        dim_in, dim_out, inner = sizes["dim_in"], sizes["dim_out"], heads * head_dim
        queries = math.ceil(height / 2) * math.ceil(width / 2)
        keys = math.ceil(height / stride) * math.ceil(width / stride)
        maps = tokens * dim_in * (3 * inner + dim_out) + queries * inner * dim_out
        pooled = (queries + 2 * keys) * inner
        return summed(
            attention_work(queries, keys, heads, head_dim, head_dim),
            (maps, tokens * (3 * inner + dim_out) + queries * dim_out),
            (pooled * sizes["kernel"] ** 2, pooled),
        )
