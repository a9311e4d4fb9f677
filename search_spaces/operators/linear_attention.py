"""Linear attention: queries times the sum over tokens of keys times values, with six ways to make queries and keys."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from search_spaces.operators.attention_projections import (
    CheckedMixer,
    LocalMixer,
    ProjectedMixer,
    attention_work,
    merge_heads,
    region_means,
    region_work,
    softmax_attention,
    split_heads,
)
from search_spaces.operators.layers import full_precision, to_image, to_tokens
from search_spaces.operators.legal import require
from search_spaces.operators.registry import register


def kernel_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """``q (k^T v) / (q sum(k))`` over ``(B, heads, L, d)`` for queries and keys that are not negative, in full precision."""
    wide_q, wide_k = full_precision(q), full_precision(k)
    context = wide_k.transpose(-2, -1) @ full_precision(v)
    weight = wide_q @ wide_k.sum(2).unsqueeze(-1)
    return (wide_q @ context / (weight + 1e-6)).to(v.dtype)


def kernel_work(tokens: int, heads: int, head_dim: int) -> tuple[int, int]:
    """(MACs, activations) of `kernel_attention`."""
    inner = heads * head_dim
    return tokens * inner * (2 * head_dim + 1), inner * head_dim + tokens * (heads + inner)


@register
class LinearAttention(ProjectedMixer):
    """Linear attention (Katharopoulos et al., arXiv 2006.16236): queries and keys go through ``elu + 1``."""

    name, family = "linear_attention", "linear attention"

    def core(self, q: Tensor, k: Tensor, v: Tensor, height: int, width: int) -> Tensor:
        return kernel_attention(F.elu(q) + 1, F.elu(k) + 1, v)

    @classmethod
    def core_work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        return kernel_work(height * width, sizes["heads"], sizes["head_dim"])


@register
class FocusedLinearAttention(LocalMixer):
    """Focused linear attention (Han et al., FLatten, arXiv 2308.00442): ReLU features to a power, scaled back to their length,
    beside a depthwise convolution of the values.

    Args:
        focus: the power; 1 is ReLU linear attention.
    """

    name, family = "focused_linear_attention", "linear attention"
    elastic = {**LocalMixer.elastic, "focus": (1, 2, 3)}

    def __init__(self, dim: int, heads: int, head_dim: int, kernel: int, focus: int) -> None:
        super().__init__(dim, heads, head_dim, kernel)
        self.focus = focus

    def sharpen(self, x: Tensor) -> Tensor:
        """Features ``(..., d)`` to the power ``focus``, with their length kept."""
        x = full_precision(F.relu(x))
        if self.focus == 1:
            return x
        squared = x.square().sum(-1, keepdim=True) + 1e-12
        power = (x * squared.rsqrt()).pow(self.focus)
        return power * (power.square().sum(-1, keepdim=True) + 1e-12).rsqrt() * squared.sqrt()

    def core(self, q: Tensor, k: Tensor, v: Tensor, height: int, width: int) -> Tensor:
        return kernel_attention(self.sharpen(q), self.sharpen(k), v)

    @classmethod
    def core_work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        return kernel_work(height * width, sizes["heads"], sizes["head_dim"])


@register
class EfficientAttention(ProjectedMixer):
    """Efficient attention (Shen et al., arXiv 1812.01243): softmax of queries over channels and of keys over tokens."""

    name, family = "efficient_attention", "linear attention"

    def core(self, q: Tensor, k: Tensor, v: Tensor, height: int, width: int) -> Tensor:
        return q.softmax(-1) @ (k.softmax(2).transpose(-2, -1) @ v)

    @classmethod
    def core_work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        inner, head_dim = sizes["heads"] * sizes["head_dim"], sizes["head_dim"]
        return 2 * height * width * inner * head_dim, inner * (head_dim + height * width)


@register
class HydraAttention(CheckedMixer):
    """Hydra attention (Bolya et al., arXiv 2209.07484): as many heads as channels. Queries and keys have length one, and every
    query is multiplied, channel by channel, with the sum over tokens of keys times values.

    Args:
        dim: channels in and out.
        expansion: inner channels over ``dim``.
    """

    name, family = "hydra_attention", "linear attention"
    elastic = {"expansion": (1, 2, 3)}
    layout = {"qkv.weight": "(3 inner) dim", "qkv.bias": "(3 inner)", "out.weight": "dim inner", "out.bias": "dim"}

    def __init__(self, dim: int, expansion: int) -> None:
        super().__init__()
        self.qkv = nn.Linear(dim, 3 * dim * expansion)
        self.out = nn.Linear(dim * expansion, dim)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (full_precision(t) for t in self.qkv(to_tokens(x)).chunk(3, -1))
        q, k = (t * (t.square().sum(-1, keepdim=True) + 1e-12).rsqrt() for t in (q, k))
        mixed = q * (k * v).sum(1, keepdim=True)
        return to_image(self.out(mixed.to(x.dtype)), *x.shape[2:])

    @classmethod
    def axes(cls, **sizes: int) -> dict[str, int]:
        return {**sizes, "inner": sizes["dim"] * sizes["expansion"]}

    @classmethod
    def work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        tokens, dim, inner = height * width, sizes["dim"], sizes["dim"] * sizes["expansion"]
        return 4 * tokens * dim * inner, tokens * (3 * inner + dim)


@register
class AgentAttention(LocalMixer):
    """Agent attention (Han et al., arXiv 2312.08874): a grid of mean queries, the agents, attends to all tokens, and all tokens
    attend to the agents; beside a depthwise convolution of the values. No learned biases, so any resolution will do.

    Args:
        side: rows and columns of the grid of agents, at most the image's.
    """

    name, family = "agent_attention", "linear attention"
    elastic = {**LocalMixer.elastic, "side": (3, 5, 7)}

    def __init__(self, dim: int, heads: int, head_dim: int, kernel: int, side: int) -> None:
        super().__init__(dim, heads, head_dim, kernel)
        self.side = side

    def core(self, q: Tensor, k: Tensor, v: Tensor, height: int, width: int) -> Tensor:
        agents = region_means(q.transpose(-2, -1).unflatten(-1, (height, width)), self.side)
        agents = agents.flatten(-2).transpose(-2, -1)
        return softmax_attention(q, agents, softmax_attention(agents, k, v))

    @classmethod
    def core_work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        tokens, heads, head_dim = height * width, sizes["heads"], sizes["head_dim"]
        agents, *pool = region_work(heads * head_dim, height, width, sizes["side"])
        gather = attention_work(agents, tokens, heads, head_dim, head_dim)
        spread = attention_work(tokens, agents, heads, head_dim, head_dim)
        return pool[0] + gather[0] + spread[0], pool[1] + gather[1] + spread[1]


@register
class LiteMLA(CheckedMixer):
    """Multi-scale ReLU linear attention of EfficientViT (Cai et al., arXiv 2205.14756): besides the heads of the projection
    come as many again for every scale, whose queries, keys and values are aggregated by a depthwise convolution and a
    linear map a head. The published batch norm is folded into the map out.

    Args:
        dim: channels in and out.
        heads: number of heads of one scale.
        head_dim: channels of a head.
        scales: number of aggregated scales, at most 2; 0 is ReLU linear attention.
        kernel: odd side of the first scale's kernel; the second's is larger by 2.
    """

    name, family, counts = "lite_mla", "linear attention", ("scales",)
    elastic = {"heads": (2, 4, 6), "head_dim": (8, 16), "scales": (0, 1, 2), "kernel": (3, 5)}
    layout = {
        "qkv.weight": "(3 heads head_dim) dim 1 1",
        "aggregate.0.0.weight": "(3 heads head_dim) 1 kernel@centre kernel@centre",
        "aggregate.0.1.weight": "(3 heads head_dim) head_dim 1 1",
        "aggregate.1.0.weight": "(3 heads head_dim) 1 wider@centre wider@centre",
        "aggregate.1.1.weight": "(3 heads head_dim) head_dim 1 1",
        "out.weight": "dim (branches heads head_dim) 1 1",
        "out.bias": "dim",
    }

    def __init__(self, dim: int, heads: int, head_dim: int, scales: int, kernel: int) -> None:
        super().__init__()
        inner = 3 * heads * head_dim
        self.heads = heads
        self.qkv = nn.Conv2d(dim, inner, 1, bias=False)
        self.aggregate = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(inner, inner, side, padding=side // 2, groups=inner, bias=False),
                nn.Conv2d(inner, inner, 1, groups=3 * heads, bias=False),
            )
            for side in (kernel, kernel + 2)[:scales]
        )
        self.out = nn.Conv2d((1 + scales) * heads * head_dim, dim, 1)

    def forward(self, x: Tensor) -> Tensor:
        qkv = self.qkv(x)
        scales = [to_tokens(t).chunk(3, -1) for t in (qkv, *(branch(qkv) for branch in self.aggregate))]
        q, k, v = (torch.cat([split_heads(t, self.heads) for t in part], 1) for part in zip(*scales, strict=True))
        mixed = merge_heads(kernel_attention(F.relu(q), F.relu(k), v))
        return self.out(to_image(mixed, *x.shape[2:]))

    @classmethod
    def axes(cls, **sizes: int) -> dict[str, int]:
        return {**sizes, "branches": 1 + sizes["scales"], "wider": sizes["kernel"] + 2}

    @classmethod
    def check(cls, shape: tuple[int, ...], **sizes: int) -> None:
        super().check(shape, **sizes)
        require(sizes["scales"] <= 2, cls, "scales", sizes["scales"], "0, 1, 2")

    @classmethod
    def work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        tokens, dim, heads, head_dim = height * width, sizes["dim"], sizes["heads"], sizes["head_dim"]
        scales, inner = sizes["scales"], heads * head_dim
        macs, activations = kernel_work(tokens, (1 + scales) * heads, head_dim)
        taps = sum(side**2 + head_dim for side in (sizes["kernel"], sizes["kernel"] + 2)[:scales])
        macs += tokens * inner * (3 * taps + (4 + scales) * dim)
        return macs, activations + tokens * ((3 + 6 * scales) * inner + dim)
