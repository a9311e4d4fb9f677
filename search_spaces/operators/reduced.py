"""Softmax attention to fewer keys: strided convolution, block means, a pooled grid, pooled keys and values, or a whole
attention at lower resolution."""

from __future__ import annotations

import math

import torch.nn.functional as F
from torch import Tensor, nn

from search_spaces.operators.attention_projections import (
    ProjectedMixer,
    ReducedKeys,
    attention_work,
    block_means,
    pad_to_multiple,
    region_means,
    region_work,
    softmax_attention,
)
from search_spaces.operators.layers import ChannelNorm, to_image, to_tokens
from search_spaces.operators.legal import require
from search_spaces.operators.registry import register


@register
class ReducedAttention(ReducedKeys):
    """Spatial-reduction attention (PVT, Wang et al., arXiv 2102.12122), which is also the global sub-sampled attention of
    Twins (Chu et al., arXiv 2104.13840): keys and values come from a convolution whose kernel is its stride, and a norm.

    Args:
        ratio: stride of the keys along each side; 1 is plain attention, without convolution and norm.
    """

    name = "reduced_attention"
    elastic = {**ReducedKeys.elastic, "ratio": (1, 2, 4)}
    layout = {
        **ReducedKeys.layout,
        "shrink.weight": "dim dim ratio ratio",
        "shrink.bias": "dim",
        "norm.weight": "dim",
        "norm.bias": "dim",
    }

    def __init__(self, dim: int, heads: int, head_dim: int, ratio: int) -> None:
        super().__init__(dim, heads, head_dim)
        self.ratio = ratio
        self.shrink = nn.Conv2d(dim, dim, ratio, stride=ratio) if ratio > 1 else None
        self.norm = ChannelNorm(dim) if ratio > 1 else None

    def reduce(self, x: Tensor) -> Tensor:
        if self.shrink is not None and self.norm is not None:
            x = self.norm(self.shrink(pad_to_multiple(x, self.ratio)))
        return to_tokens(x)

    @classmethod
    def reduce_work(cls, height: int, width: int, **sizes: int) -> tuple[int, int, int]:
        dim, ratio = sizes["dim"], sizes["ratio"]
        keys = math.ceil(height / ratio) * math.ceil(width / ratio)
        return (keys, keys * (dim * ratio) ** 2, keys * dim) if ratio > 1 else (keys, 0, 0)


@register
class EfficientMultiHeadAttention(ReducedKeys):
    """Efficient multi-head self-attention of Next-ViT (Li et al., arXiv 2207.05501): keys and values are projected from the
    means of square blocks. The published batch norm between is folded into the projections.

    Args:
        ratio: side of a block; 1 is plain attention.
    """

    name = "e_mhsa"
    elastic = {**ReducedKeys.elastic, "ratio": (1, 2, 4)}

    def __init__(self, dim: int, heads: int, head_dim: int, ratio: int) -> None:
        super().__init__(dim, heads, head_dim)
        self.ratio = ratio

    def reduce(self, x: Tensor) -> Tensor:
        return to_tokens(block_means(x, self.ratio) if self.ratio > 1 else x)

    @classmethod
    def reduce_work(cls, height: int, width: int, **sizes: int) -> tuple[int, int, int]:
        return math.ceil(height / sizes["ratio"]) * math.ceil(width / sizes["ratio"]), 0, 0


@register
class LinearReduction(ReducedKeys):
    """Linear spatial-reduction attention of PVTv2 (Wang et al., arXiv 2106.13797): keys and values come from a fixed grid of
    means, a linear map, a norm and a GELU, so the cost is linear in the number of tokens.

    Args:
        side: rows and columns of the grid, at most the image's.
    """

    name, family = "linear_sra", "linear attention"
    elastic = {**ReducedKeys.elastic, "side": (3, 5, 7)}
    layout = {
        **ReducedKeys.layout,
        "map.weight": "dim dim",
        "map.bias": "dim",
        "norm.weight": "dim",
        "norm.bias": "dim",
    }

    def __init__(self, dim: int, heads: int, head_dim: int, side: int) -> None:
        super().__init__(dim, heads, head_dim)
        self.side = side
        self.map = nn.Linear(dim, dim)
        self.norm = nn.LayerNorm(dim)

    def reduce(self, x: Tensor) -> Tensor:
        return F.gelu(self.norm(self.map(to_tokens(region_means(x, self.side)))))

    @classmethod
    def reduce_work(cls, height: int, width: int, **sizes: int) -> tuple[int, int, int]:
        dim = sizes["dim"]
        keys, macs, activations = region_work(dim, height, width, sizes["side"])
        return keys, macs + keys * dim * dim, activations + keys * dim


@register
class PoolingAttention(ProjectedMixer):
    """Pooling attention of MViT (Fan et al., arXiv 2104.11227): keys and values are projected first and then pooled, each by
    a strided depthwise convolution and a norm that all heads share.

    Args:
        kernel: odd side of the pooling kernel.
        stride: of the pooling; 1 is plain attention, without convolution and norm.
    """

    name = "pooling_attention"
    elastic = {**ProjectedMixer.elastic, "kernel": (3, 5), "stride": (1, 2, 4)}
    layout = {
        **ProjectedMixer.layout,
        "pool_key.weight": "head_dim 1 kernel@centre kernel@centre",
        "pool_value.weight": "head_dim 1 kernel@centre kernel@centre",
        "norm_key.weight": "head_dim",
        "norm_key.bias": "head_dim",
        "norm_value.weight": "head_dim",
        "norm_value.bias": "head_dim",
    }

    def __init__(self, dim: int, heads: int, head_dim: int, kernel: int, stride: int) -> None:
        super().__init__(dim, heads, head_dim)
        self.stride = stride
        if stride > 1:
            pooling = {"stride": stride, "padding": kernel // 2, "groups": head_dim, "bias": False}
            self.pool_key = nn.Conv2d(head_dim, head_dim, kernel, **pooling)  # type: ignore[arg-type]
            self.pool_value = nn.Conv2d(head_dim, head_dim, kernel, **pooling)  # type: ignore[arg-type]
            self.norm_key, self.norm_value = nn.LayerNorm(head_dim), nn.LayerNorm(head_dim)

    def core(self, q: Tensor, k: Tensor, v: Tensor, height: int, width: int) -> Tensor:
        if self.stride > 1:
            k, v = (
                norm(to_tokens(pool(to_image(t.flatten(0, 1), height, width)))).unflatten(0, t.shape[:2])
                for pool, norm, t in ((self.pool_key, self.norm_key, k), (self.pool_value, self.norm_value, v))
            )
        return softmax_attention(q, k, v)

    @classmethod
    def core_work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        heads, head_dim, stride = sizes["heads"], sizes["head_dim"], sizes["stride"]
        keys = math.ceil(height / stride) * math.ceil(width / stride)
        macs, activations = attention_work(height * width, keys, heads, head_dim, head_dim)
        if stride > 1:
            pooled = 2 * keys * heads * head_dim
            macs, activations = macs + pooled * sizes["kernel"] ** 2, activations + pooled
        return macs, activations


@register
class LowFormerAttention(ProjectedMixer):
    """LowFormer attention (Nottebaum et al., arXiv 2409.03460): a strided depthwise convolution, plain attention at the lower
    resolution, and a depthwise transposed convolution back. The published batch norm is folded into the first convolution.

    Args:
        kernel: odd side of the first convolution.
        stride: 1, 2 or 4; 1 has no convolution back.
    """

    name = "lowformer_attention"
    elastic = {**ProjectedMixer.elastic, "kernel": (3, 5), "stride": (1, 2, 4)}
    layout = {
        **ProjectedMixer.layout,
        "down.weight": "dim 1 kernel@centre kernel@centre",
        "down.bias": "dim",
        "up.weight": "dim 1 reach@centre reach@centre",
        "up.bias": "dim",
    }

    def __init__(self, dim: int, heads: int, head_dim: int, kernel: int, stride: int) -> None:
        super().__init__(dim, heads, head_dim)
        self.down = nn.Conv2d(dim, dim, kernel, stride=stride, padding=kernel // 2, groups=dim)
        self.up = (
            nn.ConvTranspose2d(dim, dim, 2 * stride, stride=stride, padding=stride // 2, groups=dim)
            if stride > 1
            else None
        )

    def core(self, q: Tensor, k: Tensor, v: Tensor, height: int, width: int) -> Tensor:
        return softmax_attention(q, k, v)

    def forward(self, x: Tensor) -> Tensor:
        mixed = super().forward(self.down(x))
        return mixed if self.up is None else self.up(mixed)[:, :, : x.shape[2], : x.shape[3]]

    @classmethod
    def axes(cls, **sizes: int) -> dict[str, int]:
        return {**sizes, "reach": 2 * sizes["stride"]}

    @classmethod
    def check(cls, shape: tuple[int, ...], **sizes: int) -> None:
        super().check(shape, **sizes)
        require(sizes["stride"] in (1, 2, 4), cls, "stride", sizes["stride"], "1, 2, 4")

    @classmethod
    def core_work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        tokens = height * width
        return attention_work(tokens, tokens, sizes["heads"], sizes["head_dim"], sizes["head_dim"])

    @classmethod
    def work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        dim, stride = sizes["dim"], sizes["stride"]
        height, width = math.ceil(height / stride), math.ceil(width / stride)
        tokens = height * width
        macs, activations = super().work(height, width, **sizes)
        macs, activations = macs + tokens * dim * sizes["kernel"] ** 2, activations + tokens * dim
        if stride > 1:
            macs, activations = macs + tokens * dim * (2 * stride) ** 2, activations + tokens * dim * stride**2
        return macs, activations
