"""Attention between channels instead of tokens: linear in the number of tokens."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from search_spaces.operators.attention_projections import ProjectedMixer
from search_spaces.operators.layers import ChannelNorm, full_precision, to_image, to_tokens
from search_spaces.operators.registry import register


def over_tokens(x: Tensor) -> Tensor:
    """Every channel of ``(B, heads, L, d)`` divided by its Euclidean norm over the tokens."""
    wide = full_precision(x)
    return (wide * (wide.square().sum(2, keepdim=True) + 1e-12).rsqrt()).to(x.dtype)


class _ChannelAttention(ProjectedMixer):
    """A ``head_dim`` x ``head_dim`` map a head says how much each channel takes from each other channel."""

    @classmethod
    def core_work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        tokens, heads, head_dim = height * width, sizes["heads"], sizes["head_dim"]
        return 2 * tokens * heads * head_dim**2, heads * head_dim * (head_dim + tokens)


@register
class ChannelGroupAttention(_ChannelAttention):
    """Channel-group attention of DaViT (Ding et al., arXiv 2204.03645): ``softmax(q^T k / sqrt(head_dim)) v^T`` inside each
    group of channels; a head is a group.
    """

    name = "channel_group_attention"

    def core(self, q: Tensor, k: Tensor, v: Tensor, height: int, width: int) -> Tensor:
        scores = (q * q.shape[-1] ** -0.5).transpose(-2, -1) @ k
        return v @ scores.softmax(-1).transpose(-2, -1)


@register
class CrossCovarianceAttention(_ChannelAttention):
    """Cross-covariance attention of XCiT (El-Nouby et al., arXiv 2106.09681): channels of queries and keys have length one
    over the tokens, and every head learns a temperature.
    """

    name = "xca"
    layout = {**ProjectedMixer.layout, "temperature": "heads 1 1"}

    def __init__(self, dim: int, heads: int, head_dim: int) -> None:
        super().__init__(dim, heads, head_dim)
        self.temperature = nn.Parameter(torch.ones(heads, 1, 1))

    def core(self, q: Tensor, k: Tensor, v: Tensor, height: int, width: int) -> Tensor:
        scores = over_tokens(q).transpose(-2, -1) @ over_tokens(k) * self.temperature
        return v @ scores.softmax(-1).transpose(-2, -1)


@register
class TransposedAttention(CrossCovarianceAttention):
    """Multi-Dconv transposed attention of Restormer (Zamir et al., arXiv 2111.09881): cross-covariance attention after a
    depthwise convolution of queries, keys and values.

    Args:
        kernel: odd side of the depthwise kernel.
    """

    name = "transposed_attention"
    elastic = {**CrossCovarianceAttention.elastic, "kernel": (1, 3, 5)}
    layout = {
        **CrossCovarianceAttention.layout,
        "local.weight": "(3 heads head_dim) 1 kernel@centre kernel@centre",
        "local.bias": "(3 heads head_dim)",
    }

    def __init__(self, dim: int, heads: int, head_dim: int, kernel: int) -> None:
        super().__init__(dim, heads, head_dim)
        inner = 3 * heads * head_dim
        self.local = nn.Conv2d(inner, inner, kernel, padding=kernel // 2, groups=inner)

    def project(self, x: Tensor) -> Tensor:
        return to_tokens(self.local(to_image(self.qkv(to_tokens(x)), *x.shape[2:])))

    @classmethod
    def work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        written = 3 * height * width * sizes["heads"] * sizes["head_dim"]
        macs, activations = super().work(height, width, **sizes)
        return macs + written * sizes["kernel"] ** 2, activations + written


@register
class SplitDepthwiseTransposedAttention(CrossCovarianceAttention):
    """Split depthwise transposed attention of EdgeNeXt (Maaz et al., arXiv 2206.10589): channels are cut into groups; each
    but the last goes through a depthwise convolution after the result of the one before was added, and cross-covariance
    attention with its own norm and skip follows. Every channel has one kernel, whatever the number of groups.

    Args:
        kernel: odd side of the depthwise kernels.
        splits: number of groups; 1 has no convolution.
    """

    name = "stda"
    elastic = {**CrossCovarianceAttention.elastic, "kernel": (3, 5), "splits": (1, 2, 4)}
    layout = {
        **CrossCovarianceAttention.layout,
        "cascade.weight": "dim 1 kernel@centre kernel@centre",
        "cascade.bias": "dim",
        "norm.weight": "dim",
        "norm.bias": "dim",
    }

    def __init__(self, dim: int, heads: int, head_dim: int, kernel: int, splits: int) -> None:
        super().__init__(dim, heads, head_dim)
        self.width = math.ceil(dim / splits)
        self.cascade = nn.Conv2d(dim, dim, kernel, padding=kernel // 2, groups=dim) if self.width < dim else None
        self.norm = ChannelNorm(dim)

    def mix_splits(self, x: Tensor) -> Tensor:
        """The cascade of depthwise convolutions over the groups of channels."""
        if self.cascade is None or self.cascade.bias is None:
            return x
        groups = list(x.split(self.width, 1))
        weights, biases = self.cascade.weight.split(self.width), self.cascade.bias.split(self.width)
        padding = self.cascade.padding
        for i in range(len(groups) - 1):
            group = groups[i] if i == 0 else groups[i] + groups[i - 1]
            groups[i] = F.conv2d(group, weights[i], biases[i], padding=padding, groups=self.width)  # type: ignore[arg-type]
        return torch.cat(groups, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.mix_splits(x)
        return x + super().forward(self.norm(x))

    @classmethod
    def work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        dim, group = sizes["dim"], math.ceil(sizes["dim"] / sizes["splits"])
        written = height * width * (math.ceil(dim / group) - 1) * group
        macs, activations = super().work(height, width, **sizes)
        return macs + written * sizes["kernel"] ** 2, activations + written
