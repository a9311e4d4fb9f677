"""Halo attention: blocks of queries that see a rim around themselves."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from search_spaces.operators.attention_parts import (
    HeadAttention,
    attend,
    attend_work,
    from_heads,
    small,
    summed,
    to_heads,
)
from search_spaces.operators.groups import Grouping, hide, to_windows, windows
from search_spaces.operators.registry import register


@register
class HaloAttention(HeadAttention):
    """Blocked local attention (Vaswani et al., HaloNet, arXiv 2103.12731): queries of a ``block x block`` block see it and
    ``halo`` tokens around it. Each query multiplies with learned vectors of the row and column offsets to its keys
    (Shaw et al., arXiv 1803.02155), which the heads share. Also the overlapping windows of HAT (arXiv 2205.04437).

    What lies beyond the image is hidden. Halo 0 is window attention; a block larger than the image is the image.

    Args:
        dim: channels in and out.
        heads: number of heads.
        head_dim: channels of a head.
        block: side of a block of queries.
        halo: tokens that its keys reach beyond it on every side.
    """

    name = "halo_attention"
    elastic = {**HeadAttention.elastic, "block": (4, 8), "halo": (1, 2, 3)}
    layout = {**HeadAttention.layout, "down": "span@centre head_dim", "across": "span@centre head_dim"}

    def __init__(self, dim: int, heads: int, head_dim: int, block: int, halo: int) -> None:
        super().__init__(dim, heads, head_dim)
        self.block, self.halo = block, halo
        span = 2 * (block + halo) - 1
        self.down, self.across = small(span, head_dim), small(span, head_dim)

    def surroundings(self, x: Tensor, blocks: Grouping) -> Tensor:
        """``(B, H, W, C)`` -> ``(B, blocks, tokens of a block and its halo, C)``, zero beyond the image."""
        halo, (rows, columns), (down, across) = self.halo, blocks.cell, blocks.cells
        below, right = down * rows - blocks.height, across * columns - blocks.width
        x = F.pad(x, (0, 0, halo, halo + right, halo, halo + below))
        for axis, side, number in ((1, rows, down), (2, columns, across)):
            start = torch.arange(number, device=x.device) * side
            places = start.unsqueeze(1) + torch.arange(side + 2 * halo, device=x.device)
            x = x.index_select(axis, places.flatten())
        return to_windows(x, rows + 2 * halo, columns + 2 * halo)

    def offset_scores(self, q: Tensor, table: Tensor) -> Tensor:
        """Queries ``(N, side, other side, head_dim)`` times the vectors of their offsets to the keys along the first side
        ``(N, side, other side, keys)``."""
        number, side, other, _ = q.shape
        query, key = (torch.arange(side + extra, device=q.device) for extra in (0, 2 * self.halo))
        offset = query.unsqueeze(1) + self.halo - key + table.shape[0] // 2
        vectors = table.index_select(0, offset.flatten()).unflatten(0, offset.shape)
        scores = q.transpose(0, 1).reshape(side, number * other, -1) @ vectors.transpose(1, 2)
        return scores.reshape(side, number, other, -1).transpose(0, 1)

    def mix(self, qkv: Tensor) -> Tensor:
        inner = self.heads * self.head_dim
        blocks = windows(qkv.shape[1], qkv.shape[2], self.block)
        q = to_heads(blocks.split(qkv[..., :inner]), self.head_dim)
        k, v = (to_heads(t, self.head_dim) for t in self.surroundings(qkv[..., inner:], blocks).chunk(2, -1))
        each = q.reshape(-1, *blocks.cell, self.head_dim)
        down = self.offset_scores(each, self.down).unsqueeze(-1)
        across = self.offset_scores(each.transpose(1, 2), self.across).transpose(1, 2).unsqueeze(-2)
        bias = (down + across).reshape(*q.shape[:4], -1)
        inside = self.surroundings(torch.ones_like(qkv[:1, :, :, :1]), blocks)
        bias = bias + hide(inside, qkv.dtype).reshape(blocks.count, 1, 1, -1)
        return blocks.join(from_heads(attend(q, k, v, bias)))

    @classmethod
    def check(cls, shape: tuple[int, ...], **sizes: int) -> None:
        super().check(shape, **{size: value for size, value in sizes.items() if size != "halo"})

    @classmethod
    def axes(cls, **sizes: int) -> dict[str, int]:
        return {**sizes, "span": 2 * (sizes["block"] + sizes["halo"]) - 1}

    @classmethod
    def work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        heads, head_dim = sizes["heads"], sizes["head_dim"]
        blocks = windows(height, width, sizes["block"])
        rows, columns = blocks.cell
        tall, wide = rows + 2 * sizes["halo"], columns + 2 * sizes["halo"]
        queries = blocks.count * rows * columns
        scores = queries * (tall + wide) * heads
        attending = attend_work(queries, tall * wide, heads, head_dim)
        return summed(cls.projections(height * width, **sizes), attending, (scores * head_dim, scores))
