"""Bi-level routing attention: regions choose the regions that they attend to."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from search_spaces.operators.attention_parts import HeadAttention, attend, attend_work, from_heads, summed, to_heads
from search_spaces.operators.groups import Grouping, hide
from search_spaces.operators.layers import to_image, to_tokens
from search_spaces.operators.registry import register

LOCAL = 5  # side of the depthwise convolution of the values


@register
class RoutingAttention(HeadAttention):
    """Bi-level routing attention (Zhu et al., BiFormer, arXiv 2303.08810): the image is cut into ``regions x regions`` regions;
    each takes the ``chosen`` regions whose mean key agrees most with its own mean query, and its tokens attend to all tokens
    of those. A depthwise 5x5 convolution of the values is added. The choice passes no gradient.

    Sides that the regions do not divide are padded and the padding hidden. ``chosen`` at or above the number of regions is
    full attention.

    Args:
        dim: channels in and out.
        heads: number of heads.
        head_dim: channels of a head.
        regions: regions down and across.
        chosen: regions that a region attends to.
    """

    name = "routing_attention"
    elastic = {**HeadAttention.elastic, "regions": (4, 7), "chosen": (1, 2, 4)}
    bf16_error = 1.0  # rounding may turn a close choice between two regions
    layout = {
        **HeadAttention.layout,
        "local.weight": f"(heads head_dim) 1 {LOCAL} {LOCAL}",
        "local.bias": "(heads head_dim)",
    }

    def __init__(self, dim: int, heads: int, head_dim: int, regions: int, chosen: int) -> None:
        super().__init__(dim, heads, head_dim)
        inner = heads * head_dim
        self.regions, self.chosen = regions, chosen
        self.local = nn.Conv2d(inner, inner, LOCAL, padding=LOCAL // 2, groups=inner)

    @staticmethod
    def cut(height: int, width: int, regions: int) -> Grouping:
        """The regions of an image."""
        return Grouping(height, width, (math.ceil(height / regions), math.ceil(width / regions)))

    def choose(self, q: Tensor, k: Tensor, inside: Tensor, number: int) -> Tensor:
        """Queries and keys ``(B, regions, tokens, inner)`` and which tokens are real ``(1, regions, tokens, 1)`` -> the regions
        that each region attends to ``(B, regions, number)``."""
        q, k = ((t * inside).sum(2) / inside.sum(2) for t in (q, k))
        return (q @ k.transpose(1, 2)).topk(number, -1).indices

    def mix(self, qkv: Tensor) -> Tensor:
        batch, height, width, _ = qkv.shape
        regions = self.cut(height, width, self.regions)
        q, k, v = regions.split(qkv).chunk(3, -1)
        inside = regions.split(torch.ones_like(qkv[:1, :, :, :1]))
        choice = self.choose(q, k, inside, min(self.chosen, regions.count))
        first = torch.arange(batch, device=qkv.device).reshape(-1, 1, 1) * regions.count
        index = (choice + first).flatten()
        k, v = (
            t.flatten(0, 1).index_select(0, index).reshape(batch, regions.count, -1, t.shape[-1]) for t in (k, v)
        )  # (B, regions, tokens of the chosen regions, inner)
        seen = inside[0, :, :, 0].index_select(0, choice.flatten()).reshape(batch, regions.count, 1, 1, -1)
        q, keys, values = (to_heads(t, self.head_dim) for t in (q, k, v))
        mixed = regions.join(from_heads(attend(q, keys, values, hide(seen, qkv.dtype))))
        local = self.local(to_image(qkv.chunk(3, -1)[2].flatten(1, 2), height, width))
        return mixed + to_tokens(local).unflatten(1, (height, width))

    @classmethod
    def work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        heads, head_dim, tokens = sizes["heads"], sizes["head_dim"], height * width
        inner, regions = heads * head_dim, cls.cut(height, width, sizes["regions"])
        size = math.prod(regions.shape)
        attending = attend_work(regions.count * size, min(sizes["chosen"], regions.count) * size, heads, head_dim)
        routing = regions.count**2 * inner, regions.count**2
        local = LOCAL**2 * tokens * inner, tokens * inner
        return summed(cls.projections(tokens, **sizes), attending, routing, local)
