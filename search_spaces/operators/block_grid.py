"""Grid attention, and block then grid attention: the two axes of MaxViT."""

from __future__ import annotations

import math

from torch import Tensor

from search_spaces.operators.attention_parts import HeadAttention, TableAttention, summed
from search_spaces.operators.base import Operator
from search_spaces.operators.groups import Grouping
from search_spaces.operators.legal import positive
from search_spaces.operators.registry import register
from search_spaces.operators.window import WindowAttention


def _named(part: str, layout: dict[str, str]) -> dict[str, str]:
    """A sub-operator's layout under its attribute's name, with a span of its own."""
    return {f"{part}.{name}": axes.replace("span", f"{part}_span") for name, axes in layout.items()}


@register
class GridAttention(TableAttention):
    """Attention on a coarse grid over the whole image (Tu et al., MaxViT, arXiv 2204.01697): the image is cut into ``grid`` x
    ``grid`` cells, and the tokens at one place of all cells see each other. Relative positions are counted in cells.

    Sides that the grid does not divide are padded and the padding hidden; a side shorter than the grid has one-token cells.

    Args:
        dim: channels in and out.
        heads: number of heads.
        head_dim: channels of a head.
        grid: cells down and across.
    """

    name = "grid_attention"
    elastic = {**TableAttention.elastic, "grid": (4, 7)}

    def __init__(self, dim: int, heads: int, head_dim: int, grid: int) -> None:
        super().__init__(dim, heads, head_dim, grid - 1, grid=grid)

    @classmethod
    def axes(cls, **sizes: int) -> dict[str, int]:
        return {**sizes, "span": 2 * sizes["grid"] - 1}

    @classmethod
    def grouping(cls, height: int, width: int, **sizes: int) -> Grouping:
        cell = math.ceil(height / sizes["grid"]), math.ceil(width / sizes["grid"])
        return Grouping(height, width, cell, strided=True)


@register
class BlockGridAttention(Operator):
    """MaxViT's multi-axis attention (Tu et al., arXiv 2204.01697) as one mixer: block (window) attention, then grid attention
    on what the block's residual step gives. The value is what the two steps add: ``b + grid(x + b)``, ``b = block(x)``.

    Args:
        dim: channels in and out.
        heads: number of heads, of each of the two.
        head_dim: channels of a head.
        block: side of a window.
        grid: cells down and across.
    """

    name, role, family = "block_grid_attention", "mixer", "attention"
    elastic = {**HeadAttention.elastic, "block": (4, 7), "grid": (4, 7)}
    layout = {**_named("block", WindowAttention.layout), **_named("grid", GridAttention.layout)}

    def __init__(self, dim: int, heads: int, head_dim: int, block: int, grid: int) -> None:
        super().__init__()
        self.block = WindowAttention(dim, heads, head_dim, block, shift=0)
        self.grid = GridAttention(dim, heads, head_dim, grid)

    def forward(self, x: Tensor) -> Tensor:
        near = self.block(x)
        return near + self.grid(x + near)

    @classmethod
    def check(cls, shape: tuple[int, ...], **sizes: int) -> None:
        positive(cls, **sizes)

    @classmethod
    def axes(cls, **sizes: int) -> dict[str, int]:
        return {**sizes, "block_span": 2 * sizes["block"] - 1, "grid_span": 2 * sizes["grid"] - 1}

    @classmethod
    def work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        block = WindowAttention.work(height, width, window=sizes["block"], shift=0, **sizes)
        return summed(block, GridAttention.work(height, width, **sizes))
