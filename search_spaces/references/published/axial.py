"""Axial attention against the package of that name."""

from __future__ import annotations

from torch import Tensor

from search_spaces.operators.axial import AxialAttention
from search_spaces.references.dense import image, seeded
from search_spaces.references.published.attention import SIZES, assign
from search_spaces.references.registry import published
from search_spaces.references.window import without_position


@published("axial_attention", "AxialAttention (axial-attention)", "axial-attention")
def axial_attention() -> tuple[Tensor, Tensor]:
    from axial_attention import AxialAttention as Theirs  # type: ignore[import-not-found]

    op, x = seeded(AxialAttention, chained=0, **SIZES), image(2, 12, 7, 5)
    without_position(op, "rows.qkv.bias", "columns.qkv.bias")
    names: dict[str, Tensor] = {}
    for number, part in enumerate((op.columns, op.rows)):
        path = f"axial_attentions.{number}.fn"
        names |= {f"{path}.to_q.weight": part.qkv.weight[:12], f"{path}.to_kv.weight": part.qkv.weight[12:]}
        names |= {f"{path}.to_out.weight": part.out.weight, f"{path}.to_out.bias": part.out.bias}
    return op(x), assign(Theirs(12, dim_index=1, heads=3), names)(x)
