"""Axial attention: along the rows and along the columns."""

from __future__ import annotations

from torch import Tensor

from search_spaces.operators.attention_parts import GroupAttention, HeadAttention, summed
from search_spaces.operators.base import Operator
from search_spaces.operators.groups import Grouping
from search_spaces.operators.legal import flag, positive
from search_spaces.operators.registry import register


class _Rows(GroupAttention):
    """Every token sees its row."""

    @classmethod
    def grouping(cls, height: int, width: int, **sizes: int) -> Grouping:
        return Grouping(height, width, (1, width))


class _Columns(GroupAttention):
    """Every token sees its column."""

    @classmethod
    def grouping(cls, height: int, width: int, **sizes: int) -> Grouping:
        return Grouping(height, width, (height, 1))


@register
class AxialAttention(Operator):
    """Attention along rows and along columns, each with projections of its own (Ho et al., arXiv 1912.12180). It knows no
    positions: an image whose columns are permuted gives the permuted output.

    Args:
        dim: channels in and out.
        heads: number of heads, of each of the two.
        head_dim: channels of a head.
        chained: 1 to let columns attend to what the rows' residual step gives, so that every token is reached from every
            other (``r + c(x + r)`` with ``r = rows(x)``); 0 for the sum of the two on the input.
    """

    name, role, family = "axial_attention", "mixer", "attention"
    elastic = {**HeadAttention.elastic, "chained": (0, 1)}
    layout = {f"{part}.{name}": axes for part in ("rows", "columns") for name, axes in HeadAttention.layout.items()}

    def __init__(self, dim: int, heads: int, head_dim: int, chained: int) -> None:
        super().__init__()
        self.rows, self.columns = _Rows(dim, heads, head_dim), _Columns(dim, heads, head_dim)
        self.chained = chained

    def forward(self, x: Tensor) -> Tensor:
        rows = self.rows(x)
        return rows + self.columns(x + rows if self.chained else x)

    @classmethod
    def check(cls, shape: tuple[int, ...], **sizes: int) -> None:
        flag(cls, chained=sizes.pop("chained"))
        positive(cls, **sizes)

    @classmethod
    def work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        return summed(_Rows.work(height, width, **sizes), _Columns.work(height, width, **sizes))
