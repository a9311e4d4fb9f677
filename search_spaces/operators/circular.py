"""Circular-convolutional attention: softmax weights that depend on the distance along the tokens only."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from search_spaces.operators.base import Operator
from search_spaces.operators.layers import to_image, to_tokens
from search_spaces.operators.registry import register


def circulant(weights: Tensor) -> Tensor:
    """``(..., L)`` -> ``(..., L, L)`` with entry ``[i, j] = weights[(j - i) mod L]``, without a gather.

    Rows of length ``2 L - 1`` cut from the repeated vector each start one entry further to the left.
    """
    length = weights.shape[-1]
    repeated = torch.cat([weights] * (2 * length), -1)[..., : length * (2 * length - 1)]
    return repeated.unflatten(-1, (length, 2 * length - 1))[..., :length]


@register
class CircularAttention(Operator):
    """CAT (Yamada, arXiv 2504.06704): one weight for every token and head from a linear map, a softmax over the tokens, and the
    circular convolution of the values with it. Queries and keys are one vector a head, so the attention matrix is circulant.

    The product with that matrix is written out: it costs as many multiply-accumulates as attention's second product and
    needs no FFT.

    Args:
        dim: channels in and out.
        heads: number of heads.
        head_dim: channels of a head.
    """

    name, role, family = "circular_attention", "mixer", "spectral"
    elastic = {"heads": (2, 4, 6), "head_dim": (8, 16)}
    layout = {
        "score.weight": "heads dim",
        "score.bias": "heads",
        "value.weight": "(heads head_dim) dim",
        "value.bias": "(heads head_dim)",
        "out.weight": "dim (heads head_dim)",
        "out.bias": "dim",
    }

    def __init__(self, dim: int, heads: int, head_dim: int) -> None:
        super().__init__()
        self.heads, self.head_dim = heads, head_dim
        self.score = nn.Linear(dim, heads)
        self.value = nn.Linear(dim, heads * head_dim)
        self.out = nn.Linear(heads * head_dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        tokens = to_tokens(x)
        weights = self.score(tokens).transpose(1, 2).softmax(-1)
        values = self.value(tokens).unflatten(-1, (self.heads, self.head_dim)).transpose(1, 2)
        mixed = (circulant(weights) @ values).transpose(1, 2).flatten(2)
        return to_image(self.out(mixed), *x.shape[2:])

    @classmethod
    def work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        tokens, dim, heads = height * width, sizes["dim"], sizes["heads"]
        inner = heads * sizes["head_dim"]
        return tokens * (dim * (heads + 2 * inner) + tokens * inner), tokens * (heads + 2 * inner + dim)
