"""Parts that global attention mixers over images share: projections, heads, written-out softmax, pooled tokens."""

from __future__ import annotations

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from search_spaces.operators.base import Operator
from search_spaces.operators.layers import to_image, to_tokens
from search_spaces.operators.legal import flag, odd, positive


def split_heads(tokens: Tensor, heads: int) -> Tensor:
    """``(B, L, heads*head_dim)`` -> ``(B, heads, L, head_dim)``."""
    return tokens.unflatten(-1, (heads, tokens.shape[-1] // heads)).transpose(1, 2)


def merge_heads(x: Tensor) -> Tensor:
    """``(B, heads, L, head_dim)`` -> ``(B, L, heads*head_dim)``."""
    return x.transpose(1, 2).flatten(2)


def softmax_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """``softmax(q k^T / sqrt(d)) v`` written out: queries ``(..., L, d)``, keys ``(..., M, d)``, values ``(..., M, e)``."""
    scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1)
    return scores.softmax(-1) @ v


def attention_work(queries: int, keys: int, heads: int, key_dim: int, head_dim: int) -> tuple[int, int]:
    """(MACs, activations) of `softmax_attention`."""
    return heads * queries * keys * (key_dim + head_dim), heads * queries * (keys + head_dim)


def pad_to_multiple(x: Tensor, ratio: int) -> Tensor:
    """``(B, C, H, W)`` with zeros below and to the right, so that ``ratio`` divides both sides."""
    down, right = -x.shape[2] % ratio, -x.shape[3] % ratio
    return F.pad(x, (0, right, 0, down)) if down or right else x


def block_means(x: Tensor, ratio: int) -> Tensor:
    """Means of ``ratio`` x ``ratio`` blocks ``(B, C, ceil(H/ratio), ceil(W/ratio))``; a cut block is the mean of its rest."""
    padded = pad_to_multiple(x, ratio)
    means = F.avg_pool2d(padded, ratio)
    if padded.shape == x.shape:
        return means
    return means / F.avg_pool2d(pad_to_multiple(torch.ones_like(x[:1, :1]), ratio), ratio)


def segment_matrix(length: int, segments: int, like: Tensor) -> Tensor:
    """``(segments, length)``: row i averages the entries from ``floor(i L / segments)`` to ``ceil((i + 1) L / segments)``.

    Where ``segments`` divides ``length`` these are the plain segments; else neighbours share an entry and none is empty.
    """
    place = torch.arange(length, device=like.device)
    index = torch.arange(segments, device=like.device).unsqueeze(1)
    start = torch.div(index * length, segments, rounding_mode="floor")
    stop = torch.div((index + 1) * length + segments - 1, segments, rounding_mode="floor")
    inside = (place >= start).to(like.dtype) * (place < stop).to(like.dtype)
    return inside / inside.sum(1, keepdim=True)


def region_means(x: Tensor, side: int) -> Tensor:
    """``(..., H, W)`` -> the means of a grid of at most ``side`` x ``side`` regions ``(..., rows, columns)``."""
    height, width = x.shape[-2:]
    rows, columns = segment_matrix(height, min(side, height), x), segment_matrix(width, min(side, width), x)
    return rows @ x @ columns.transpose(0, 1)


def region_work(channels: int, height: int, width: int, side: int) -> tuple[int, int, int]:
    """(regions, MACs, activations) of `region_means`."""
    rows, columns = min(side, height), min(side, width)
    return (
        rows * columns,
        channels * rows * width * (height + columns),
        channels * rows * (width + columns),
    )


class CheckedMixer(Operator):
    """A mixer whose sizes are at least 1, its ``flags`` 0 or 1, its ``counts`` 0 or more, and its kernels odd."""

    role = "mixer"
    flags: ClassVar[tuple[str, ...]] = ()
    counts: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def check(cls, shape: tuple[int, ...], **sizes: int) -> None:
        positive(cls, **{size: value for size, value in sizes.items() if size not in cls.flags + cls.counts})
        flag(cls, **{size: sizes[size] for size in cls.flags})
        odd(cls, kernel=sizes.get("kernel", 1))


class ProjectedMixer(CheckedMixer):
    """One linear map to queries, keys and values, a core over heads, one linear map out. No position of its own.

    Args:
        dim: channels in and out.
        heads: number of heads.
        head_dim: channels of a head.
    """

    family = "attention"
    elastic = {"heads": (2, 4, 6), "head_dim": (8, 16)}
    layout = {
        "qkv.weight": "(3 heads head_dim) dim",
        "qkv.bias": "(3 heads head_dim)",
        "out.weight": "dim (heads head_dim)",
        "out.bias": "dim",
    }

    def __init__(self, dim: int, heads: int, head_dim: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * heads * head_dim)
        self.out = nn.Linear(heads * head_dim, dim)

    def project(self, x: Tensor) -> Tensor:
        """``(B, C, H, W)`` -> queries, keys and values beside each other ``(B, L, 3*heads*head_dim)``."""
        return self.qkv(to_tokens(x))

    def core(self, q: Tensor, k: Tensor, v: Tensor, height: int, width: int) -> Tensor:
        """Three times ``(B, heads, L, head_dim)`` -> the same shape."""
        raise NotImplementedError

    def enhance(self, mixed: Tensor, v: Tensor, height: int, width: int) -> Tensor:
        """What leaves the heads and the values, both ``(B, L, inner)`` -> what goes to the output projection."""
        return mixed

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[2:]
        q, k, v = self.project(x).chunk(3, -1)
        q, k, values = (split_heads(t, self.heads) for t in (q, k, v))
        mixed = merge_heads(self.core(q, k, values, height, width))
        return to_image(self.out(self.enhance(mixed, v, height, width)), height, width)

    @classmethod
    def core_work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        """(MACs, activations) of `core`."""
        raise NotImplementedError

    @classmethod
    def work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        tokens, dim, inner = height * width, sizes["dim"], sizes["heads"] * sizes["head_dim"]
        macs, activations = cls.core_work(height, width, **sizes)
        return macs + 4 * tokens * dim * inner, activations + tokens * (3 * inner + dim)


class LocalMixer(ProjectedMixer):
    """The same with a depthwise convolution of the values beside the core.

    Args:
        kernel: odd side of the depthwise kernel.
    """

    elastic = {**ProjectedMixer.elastic, "kernel": (3, 5)}
    layout = {
        **ProjectedMixer.layout,
        "local.weight": "(heads head_dim) 1 kernel@centre kernel@centre",
        "local.bias": "(heads head_dim)",
    }

    def __init__(self, dim: int, heads: int, head_dim: int, kernel: int) -> None:
        super().__init__(dim, heads, head_dim)
        inner = heads * head_dim
        self.local = nn.Conv2d(inner, inner, kernel, padding=kernel // 2, groups=inner)

    def enhance(self, mixed: Tensor, v: Tensor, height: int, width: int) -> Tensor:
        return mixed + to_tokens(self.local(to_image(v, height, width)))

    @classmethod
    def work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        tokens, inner = height * width, sizes["heads"] * sizes["head_dim"]
        macs, activations = super().work(height, width, **sizes)
        return macs + tokens * inner * sizes["kernel"] ** 2, activations + tokens * inner


class ReducedKeys(CheckedMixer):
    """Softmax attention of every token to keys and values from a smaller map, which `reduce` makes of the input.

    Args:
        dim: channels in and out.
        heads: number of heads.
        head_dim: channels of a head.
    """

    family = "attention"
    elastic = {"heads": (2, 4, 6), "head_dim": (8, 16)}
    layout = {
        "query.weight": "(heads key_dim) dim",
        "query.bias": "(heads key_dim)",
        "key.weight": "(heads key_dim) dim",
        "key.bias": "(heads key_dim)",
        "value.weight": "(heads head_dim) dim",
        "value.bias": "(heads head_dim)",
        "out.weight": "dim (heads head_dim)",
        "out.bias": "dim",
    }

    def __init__(self, dim: int, heads: int, head_dim: int, key_dim: int = 0) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(dim, heads * (key_dim or head_dim))
        self.key = nn.Linear(dim, heads * (key_dim or head_dim))
        self.value = nn.Linear(dim, heads * head_dim)
        self.out = nn.Linear(heads * head_dim, dim)

    def reduce(self, x: Tensor) -> Tensor:
        """``(B, C, H, W)`` -> the smaller map as tokens ``(B, M, C)``."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[2:]
        reduced = self.reduce(x)
        q, k, v = self.query(to_tokens(x)), self.key(reduced), self.value(reduced)
        mixed = softmax_attention(*(split_heads(t, self.heads) for t in (q, k, v)))
        return to_image(self.out(merge_heads(mixed)), height, width)

    @classmethod
    def axes(cls, **sizes: int) -> dict[str, int]:
        return {"key_dim": sizes["head_dim"], **sizes}

    @classmethod
    def reduce_work(cls, height: int, width: int, **sizes: int) -> tuple[int, int, int]:
        """(keys, MACs, activations) of `reduce`."""
        raise NotImplementedError

    @classmethod
    def work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        tokens, dim, heads, head_dim = height * width, sizes["dim"], sizes["heads"], sizes["head_dim"]
        key_dim, both = sizes.get("key_dim", head_dim), sizes.get("key_dim", head_dim) + head_dim
        keys, macs, activations = cls.reduce_work(height, width, **sizes)
        core = attention_work(tokens, keys, heads, key_dim, head_dim)
        macs += core[0] + (tokens + keys) * dim * heads * both
        return macs, activations + core[1] + heads * (tokens * key_dim + keys * both) + tokens * dim
