"""Cross-shaped stripes: half of the heads attend along rows, half along columns."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from search_spaces.operators.attention_parts import HeadAttention, attend_within, summed, work_within
from search_spaces.operators.groups import Grouping
from search_spaces.operators.layers import to_image, to_tokens
from search_spaces.operators.legal import require
from search_spaces.operators.registry import register


@register
class StripeAttention(HeadAttention):
    """Cross-shaped window attention (Dong et al., CSWin, arXiv 2107.00652): the first half of the heads attends within
    horizontal stripes, the second half within vertical ones, and a depthwise 3x3 convolution of the values (LePE) gives the
    position. Rows of ``qkv`` are grouped by (query/key/value, direction, head, channel), so each direction keeps its heads.

    Sides that the stripe does not divide are padded and the padding hidden; a stripe wider than the image is the image.

    Args:
        dim: channels in and out.
        heads: number of heads, even.
        head_dim: channels of a head.
        stripe: rows of a horizontal stripe, columns of a vertical one.
    """

    name = "stripe_attention"
    elastic = {**HeadAttention.elastic, "stripe": (1, 2, 7)}
    layout = {
        "qkv.weight": "(3 2 half head_dim) dim",
        "qkv.bias": "(3 2 half head_dim)",
        "position.weight": "(2 half head_dim) 1 3 3",
        "position.bias": "(2 half head_dim)",
        "out.weight": "dim (2 half head_dim)",
        "out.bias": "dim",
    }

    def __init__(self, dim: int, heads: int, head_dim: int, stripe: int) -> None:
        super().__init__(dim, heads, head_dim)
        inner = heads * head_dim
        self.stripe = stripe
        self.position = nn.Conv2d(inner, inner, 3, padding=1, groups=inner)

    @staticmethod
    def stripes(height: int, width: int, stripe: int) -> tuple[Grouping, Grouping]:
        """The horizontal and the vertical stripes of an image."""
        across = Grouping(height, width, (min(stripe, height), width))
        return across, Grouping(height, width, (height, min(stripe, width)))

    def mix(self, qkv: Tensor) -> Tensor:
        height, width = qkv.shape[1:3]
        parts = qkv.chunk(6, -1)  # queries, keys and values, each of the two directions
        stripes = self.stripes(height, width, self.stripe)
        mixed = [attend_within(groups, torch.cat(parts[i::2], -1), self.head_dim) for i, groups in enumerate(stripes)]
        values = to_image(qkv.chunk(3, -1)[2].flatten(1, 2), height, width)
        return torch.cat(mixed, -1) + to_tokens(self.position(values)).unflatten(1, (height, width))

    @classmethod
    def check(cls, shape: tuple[int, ...], **sizes: int) -> None:
        super().check(shape, **sizes)
        require(sizes["heads"] % 2 == 0, cls, "heads", sizes["heads"], "even, half for each direction")

    @classmethod
    def axes(cls, **sizes: int) -> dict[str, int]:
        return {**sizes, "half": sizes["heads"] // 2}

    @classmethod
    def work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        tokens, inner, half = height * width, sizes["heads"] * sizes["head_dim"], sizes["heads"] // 2
        stripes = (work_within(s, half, sizes["head_dim"]) for s in cls.stripes(height, width, sizes["stripe"]))
        return summed(cls.projections(tokens, **sizes), (9 * tokens * inner, tokens * inner), *stripes)
