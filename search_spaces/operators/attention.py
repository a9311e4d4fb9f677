"""Global attention over the tokens of an image: softmax, and ReLU linear attention."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from search_spaces.operators.base import Operator
from search_spaces.operators.layers import to_image, to_tokens
from search_spaces.operators.registry import register


class _Attention(Operator):
    """Projections, heads and the positional branch that both kinds of attention share.

    Position comes from a depthwise 3x3 convolution of the values (LePE, Dong et al., arXiv 2107.00652), so the operator
    works at any resolution. Rows of ``qkv`` are grouped by (query/key/value, head, channel of the head).

    Args:
        dim: channels in and out.
        heads: number of heads.
        head_dim: channels of a head.
    """

    role, family = "mixer", "attention"
    elastic = {"heads": (2, 4, 6), "head_dim": (8, 16)}
    layout = {
        "qkv.weight": "(3 heads head_dim) dim",
        "qkv.bias": "(3 heads head_dim)",
        "position.weight": "(heads head_dim) 1 3 3",
        "position.bias": "(heads head_dim)",
        "out.weight": "dim (heads head_dim)",
        "out.bias": "dim",
    }

    def __init__(self, dim: int, heads: int, head_dim: int) -> None:
        super().__init__()
        inner = heads * head_dim
        self.heads, self.head_dim = heads, head_dim
        self.qkv = nn.Linear(dim, 3 * inner)
        self.position = nn.Conv2d(inner, inner, 3, padding=1, groups=inner)
        self.out = nn.Linear(inner, dim)

    def attend(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Three times ``(B, heads, L, head_dim)`` -> the same shape."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[2:]
        q, k, v = self.qkv(to_tokens(x)).chunk(3, -1)
        place = to_tokens(self.position(to_image(v, height, width)))
        q, k, v = (t.unflatten(-1, (self.heads, self.head_dim)).transpose(1, 2) for t in (q, k, v))
        mixed = self.attend(q, k, v).transpose(1, 2).flatten(2)
        return to_image(self.out(mixed + place), height, width)

    @classmethod
    def _projections(cls, tokens: int, dim: int, inner: int) -> tuple[int, int]:
        return tokens * (4 * dim * inner + 9 * inner), tokens * (4 * inner + dim)


@register
class MultiHeadAttention(_Attention):
    """Softmax attention (Vaswani et al., arXiv 1706.03762), written out: the fused call exports to slower graphs."""

    name = "mhsa"

    def attend(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        scores = (q * self.head_dim**-0.5) @ k.transpose(-2, -1)
        return scores.softmax(-1) @ v

    @classmethod
    def work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        tokens, inner = height * width, sizes["heads"] * sizes["head_dim"]
        macs, activations = cls._projections(tokens, sizes["dim"], inner)
        return macs + 2 * tokens * tokens * inner, activations + tokens * (tokens * sizes["heads"] + inner)


@register
class ReluAttention(_Attention):
    """ReLU linear attention (Cai et al., EfficientViT, arXiv 2205.14756): linear in the number of tokens."""

    name, family = "relu_attention", "linear attention"

    def attend(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        q, k = torch.relu(q), torch.relu(k)
        context = k.transpose(-2, -1) @ v
        weight = q @ k.sum(2, keepdim=True).transpose(-2, -1)
        return (q @ context) / (weight + 1e-6)

    @classmethod
    def work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        tokens, heads, head_dim = height * width, sizes["heads"], sizes["head_dim"]
        inner = heads * head_dim
        macs, activations = cls._projections(tokens, sizes["dim"], inner)
        mixing = 2 * tokens * inner * head_dim + tokens * inner
        return macs + mixing, activations + inner * head_dim + tokens * (heads + inner)
