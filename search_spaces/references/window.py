"""Evidence for window attention and full attention with relative positions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from search_spaces.operators.attention import MultiHeadAttention
from search_spaces.operators.window import RelativeAttention, WindowAttention
from search_spaces.references.dense import dense, image, seeded, share, table_entry
from search_spaces.references.registry import degenerate, reference


@reference("window_attention")
def window_attention(op: Any, x: Tensor) -> Tensor:
    """Two tokens see each other if they lie in one window of a plane that is cut at ``shift + n * window``."""
    height, width = x.shape[2:]
    window, shift = op.sizes["window"], op.sizes["shift"]
    entry = table_entry(op.table)

    def cut(place: int, side: int) -> int:
        return (place - (window // 2 if shift and side > window else 0)) // window if side > window else 0

    def score(y: int, x: int, y2: int, x2: int) -> Sequence[float] | None:
        together = cut(y, height) == cut(y2, height) and cut(x, width) == cut(x2, width)
        return entry(y - y2, x - x2) if together else None

    return dense(op, x, score)


@reference("mhsa_relative")
def relative_attention(op: Any, x: Tensor) -> Tensor:
    """All tokens, each pair with the entry of its offsets."""
    entry = table_entry(op.table)
    return dense(op, x, lambda y, x, y2, x2: entry(y - y2, x - x2))


def full_attention(op: Any) -> Any:
    """Full attention with the projections of ``op`` and no positional branch."""
    full = MultiHeadAttention(op.qkv.in_features, op.heads, op.head_dim).double()
    with torch.no_grad():
        full.position.weight.zero_(), full.position.bias.zero_()  # type: ignore[union-attr]
    return share(full, op)


def without_position(op: Any, *names: str) -> Any:
    """``op`` with some parameters zero."""
    with torch.no_grad():
        for name in names or ("table",):
            op.get_parameter(name).zero_()
    return op


@degenerate("window_attention", "window = image, no table: full attention")
def one_window() -> tuple[Tensor, Tensor]:
    op = without_position(seeded(WindowAttention, dim=12, heads=3, head_dim=4, window=7, shift=1))
    x = image(2, 12, 7, 7)
    return op(x), full_attention(op)(x)


@degenerate("window_attention", "window >= image: full attention with the same table")
def large_window() -> tuple[Tensor, Tensor]:
    op, x = seeded(WindowAttention, dim=12, heads=3, head_dim=4, window=8, shift=1), image(2, 12, 7, 5)
    full = seeded(RelativeAttention, dim=12, heads=3, head_dim=4, reach=7)
    return op(x), share(full, op)(x)


@degenerate("window_attention", "window 1: a linear map")
def single_tokens() -> tuple[Tensor, Tensor]:
    op, x = seeded(WindowAttention, dim=12, heads=3, head_dim=4, window=1, shift=1), image(2, 12, 4, 5)
    values = x.movedim(1, -1) @ op.qkv.weight[24:].T + op.qkv.bias[24:]
    return op(x).movedim(1, -1), values @ op.out.weight.T + op.out.bias


@degenerate(
    "window_attention", "shifted: the window attention of the image moved by half a window, away from its border"
)
def shifted() -> tuple[Tensor, Tensor]:
    op, x = seeded(WindowAttention, dim=12, heads=3, head_dim=4, window=4, shift=1), image(2, 12, 12, 12)
    plain = share(seeded(WindowAttention, dim=12, heads=3, head_dim=4, window=4, shift=0), op)
    return op(x)[:, :, 2:10, 2:10], plain(x[:, :, 2:10, 2:10])


@degenerate("window_attention", "a larger window's table, cut to its middle, is the smaller window's")
def middle_of_table() -> tuple[Tensor, Tensor]:
    large = seeded(WindowAttention, dim=12, heads=3, head_dim=4, window=8, shift=0)
    op = WindowAttention(dim=12, heads=3, head_dim=4, window=4, shift=0).double()
    share(
        op, type("Rest", (), {"named_parameters": lambda _: [p for p in large.named_parameters() if p[0] != "table"]})()
    )
    with torch.no_grad():
        op.table.copy_(large.table[:, 4:11, 4:11])
    x = image(2, 12, 4, 4)
    return op(x), large(x)


@degenerate("mhsa_relative", "no table: full attention")
def no_table() -> tuple[Tensor, Tensor]:
    op, x = without_position(seeded(RelativeAttention, dim=12, heads=3, head_dim=4, reach=3)), image(2, 12, 7, 5)
    return op(x), full_attention(op)(x)
