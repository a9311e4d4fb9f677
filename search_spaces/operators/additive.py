"""Additive attention: no products between tokens, so the cost is linear in their number."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from search_spaces.operators.attention_projections import CheckedMixer, merge_heads, split_heads
from search_spaces.operators.layers import full_precision, to_image, to_tokens
from search_spaces.operators.registry import register


class _Context(nn.Module):
    """A map times a gate a pixel (depthwise convolution, ReLU, one channel), then times a gate a channel of its mean."""

    def __init__(self, inner: int, kernel: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(inner, inner, kernel, padding=kernel // 2, groups=inner)
        self.pixel = nn.Conv2d(inner, 1, 1, bias=False)
        self.channel = nn.Conv2d(inner, inner, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = x * self.pixel(F.relu(self.depthwise(x))).sigmoid()
        return x * self.channel(x.mean((2, 3), keepdim=True)).sigmoid()


@register
class ConvAdditiveAttention(CheckedMixer):
    """Convolutional additive token mixer of CAS-ViT (Zhang et al., arXiv 2408.03703): ``out(dw(context(q) + context(k)) * v)``,
    where a context gates its map by pixel and by channel. The published batch norm is folded into the depthwise
    convolution before it, and the map out is 1x1 so that the inner width is free.

    Args:
        dim: channels in and out.
        expansion: inner channels over ``dim``.
        kernel: odd side of the depthwise kernels.
    """

    name, family = "conv_additive_attention", "linear attention"
    elastic = {"expansion": (1, 2), "kernel": (3, 5)}
    layout = {
        "qkv.weight": "(3 inner) dim 1 1",
        "qkv.bias": "(3 inner)",
        **{f"{part}.depthwise.weight": "inner 1 kernel@centre kernel@centre" for part in ("query", "key")},
        **{f"{part}.depthwise.bias": "inner" for part in ("query", "key")},
        **{f"{part}.pixel.weight": "1 inner 1 1" for part in ("query", "key")},
        **{f"{part}.channel.weight": "inner inner 1 1" for part in ("query", "key")},
        "mix.weight": "inner 1 kernel@centre kernel@centre",
        "mix.bias": "inner",
        "out.weight": "dim inner 1 1",
        "out.bias": "dim",
    }

    def __init__(self, dim: int, expansion: int, kernel: int) -> None:
        super().__init__()
        inner = dim * expansion
        self.qkv = nn.Conv2d(dim, 3 * inner, 1)
        self.query, self.key = _Context(inner, kernel), _Context(inner, kernel)
        self.mix = nn.Conv2d(inner, inner, kernel, padding=kernel // 2, groups=inner)
        self.out = nn.Conv2d(inner, dim, 1)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(x).chunk(3, 1)
        return self.out(self.mix(self.query(q) + self.key(k)) * v)

    @classmethod
    def axes(cls, **sizes: int) -> dict[str, int]:
        return {**sizes, "inner": sizes["dim"] * sizes["expansion"]}

    @classmethod
    def work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        tokens, dim, inner = height * width, sizes["dim"], sizes["dim"] * sizes["expansion"]
        macs = tokens * inner * (4 * dim + 3 * sizes["kernel"] ** 2 + 2) + 2 * inner**2
        return macs, tokens * (6 * inner + 2 + dim) + 2 * inner


def unit(x: Tensor, axis: int) -> Tensor:
    """``x`` divided by its Euclidean norm over ``axis``."""
    return x * (x.square().sum(axis, keepdim=True) + 1e-24).rsqrt()


@register
class EfficientAdditiveAttention(CheckedMixer):
    """Efficient additive attention of SwiftFormer (Shaker et al., arXiv 2303.15446): every head sums its queries to one, with
    weights that a learned vector gives; keys times that query go through a linear map and join the queries.

    Args:
        dim: channels in and out.
        heads: number of heads, each with a query vector of its own.
        head_dim: channels of a head.
    """

    name, family = "efficient_additive_attention", "linear attention"
    elastic = {"heads": (1, 2, 4), "head_dim": (8, 16)}
    layout = {
        "query_key.weight": "(2 heads head_dim) dim",
        "query_key.bias": "(2 heads head_dim)",
        "weigh": "heads head_dim 1",
        "mix.weight": "(heads head_dim) (heads head_dim)",
        "mix.bias": "(heads head_dim)",
        "out.weight": "dim (heads head_dim)",
        "out.bias": "dim",
    }

    def __init__(self, dim: int, heads: int, head_dim: int) -> None:
        super().__init__()
        inner = heads * head_dim
        self.heads = heads
        self.query_key = nn.Linear(dim, 2 * inner)
        self.weigh = nn.Parameter(torch.randn(heads, head_dim, 1))
        self.mix = nn.Linear(inner, inner)
        self.out = nn.Linear(inner, dim)

    def forward(self, x: Tensor) -> Tensor:
        both = self.query_key(to_tokens(x)).chunk(2, -1)
        q, k = (unit(full_precision(split_heads(t, self.heads)), -1) for t in both)
        weights = unit(q @ full_precision(self.weigh) * q.shape[-1] ** -0.5, 2)
        query = weights.transpose(-2, -1) @ q  # (B, heads, 1, head_dim)
        mixed = self.mix(merge_heads(query * k).to(x.dtype)) + merge_heads(q).to(x.dtype)
        return to_image(self.out(mixed), *x.shape[2:])

    @classmethod
    def work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        tokens, dim, inner = height * width, sizes["dim"], sizes["heads"] * sizes["head_dim"]
        macs = tokens * inner * (3 * dim + inner + 2)
        return macs, tokens * (3 * inner + sizes["heads"] + dim) + inner
