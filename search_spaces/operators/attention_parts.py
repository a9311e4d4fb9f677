"""What the local and structured attentions share: projections and heads, relative positions, attention within groups."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from search_spaces.operators.base import Operator
from search_spaces.operators.groups import Grouping
from search_spaces.operators.layers import to_image, to_tokens
from search_spaces.operators.legal import positive


def attend(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None = None) -> Tensor:
    """Softmax attention written out: ``(..., queries, d)``, twice ``(..., keys, d)`` -> ``(..., queries, d)``.

    ``bias`` is added to the scores ``(..., queries, keys)``: relative positions, hidden keys.
    """
    scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1)
    return (scores if bias is None else scores + bias).softmax(-1) @ v


def steps(side: int, device: torch.device) -> Tensor:
    """How many steps each place of an axis stands behind each other ``(side, side)``."""
    place = torch.arange(side, device=device)
    return place.unsqueeze(1) - place


def small(*shape: int) -> nn.Parameter:
    """A table of small random numbers, as Swin starts its relative positions."""
    return nn.Parameter(nn.init.trunc_normal_(torch.empty(shape), std=0.02))


def relative_bias(table: Tensor, rows: Tensor, columns: Tensor, hidden: Tensor | None = None) -> Tensor:
    """Looks relative positions up in a table whose middle is offset 0; offsets beyond it use its edge (Shaw et al.,
    arXiv 1803.02155).

    Args:
        table: ``(heads, 2a + 1, 2b + 1)``.
        rows, columns: offsets along the two axes ``(Qy, Ky)`` and ``(Qx, Kx)``.
        hidden: what to add for each pair of columns ``(Qx, Kx)``.

    Returns:
        ``(heads, Qy * Qx, Ky * Kx)``.
    """
    a, b = table.shape[1] // 2, table.shape[2] // 2
    table = table.index_select(2, (columns + b).clamp(0, 2 * b).flatten())
    if hidden is not None:
        table = table + hidden.flatten()
    table = table.index_select(1, (rows + a).clamp(0, 2 * a).flatten())
    table = table.reshape(-1, *rows.shape, *columns.shape).transpose(2, 3)
    return table.reshape(-1, rows.shape[0] * columns.shape[0], rows.shape[1] * columns.shape[1])


def to_heads(x: Tensor, head_dim: int) -> Tensor:
    """``(B, groups, tokens, inner)`` -> ``(B, groups, heads, tokens, head_dim)``."""
    return x.unflatten(-1, (-1, head_dim)).transpose(2, 3)


def from_heads(x: Tensor) -> Tensor:
    """The inverse of `to_heads`."""
    return x.transpose(2, 3).flatten(3)


def attend_within(groups: Grouping, qkv: Tensor, head_dim: int, bias: Tensor | None = None) -> Tensor:
    """Attention within each group: ``(B, H, W, 3 * inner)`` -> ``(B, H, W, inner)``."""
    q, k, v = (to_heads(t, head_dim) for t in groups.split(qkv).chunk(3, -1))
    hidden = groups.hidden(qkv)
    if hidden is not None:
        bias = hidden if bias is None else bias + hidden
    return groups.join(from_heads(attend(q, k, v, bias)))


def attend_work(queries: int, keys: int, heads: int, head_dim: int) -> tuple[int, int]:
    """(MACs, activations) of `attend` where each of ``queries`` tokens has ``keys`` keys."""
    return 2 * queries * keys * heads * head_dim, queries * heads * (keys + head_dim)


def work_within(groups: Grouping, heads: int, head_dim: int) -> tuple[int, int]:
    """(MACs, activations) of `attend_within`."""
    tokens = math.prod(groups.shape)
    return attend_work(groups.count * tokens, tokens, heads, head_dim)


def summed(*works: tuple[int, int]) -> tuple[int, int]:
    """Sum of pairs of MACs and activations."""
    return sum(macs for macs, _ in works), sum(activations for _, activations in works)


class HeadAttention(Operator):
    """Projections and heads; a subclass mixes. Rows of ``qkv`` are grouped by (query/key/value, head, channel of the head).

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
        "out.weight": "dim (heads head_dim)",
        "out.bias": "dim",
    }

    def __init__(self, dim: int, heads: int, head_dim: int) -> None:
        super().__init__()
        inner = heads * head_dim
        self.heads, self.head_dim = heads, head_dim
        self.qkv = nn.Linear(dim, 3 * inner)
        self.out = nn.Linear(inner, dim)

    def mix(self, qkv: Tensor) -> Tensor:
        """``(B, H, W, 3 * inner)`` -> ``(B, H, W, inner)``."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[2:]
        qkv = self.qkv(to_tokens(x)).unflatten(1, (height, width))
        return to_image(self.out(self.mix(qkv).flatten(1, 2)), height, width)

    @classmethod
    def check(cls, shape: tuple[int, ...], **sizes: int) -> None:
        positive(cls, **sizes)

    @classmethod
    def projections(cls, tokens: int, **sizes: int) -> tuple[int, int]:
        """(MACs, activations) of ``qkv`` and ``out``."""
        dim, inner = sizes["dim"], sizes["heads"] * sizes["head_dim"]
        return 4 * tokens * dim * inner, tokens * (3 * inner + dim)


class GroupAttention(HeadAttention):
    """Attention within groups of tokens, with a bias by relative position; a subclass says which groups.

    Args:
        sizes: the sizes that `grouping` takes.
    """

    def __init__(self, dim: int, heads: int, head_dim: int, **sizes: int) -> None:
        super().__init__(dim, heads, head_dim)
        self.sizes = sizes

    @classmethod
    def grouping(cls, height: int, width: int, **sizes: int) -> Grouping:
        """The groups of an image."""
        raise NotImplementedError

    def position(self, rows: int, columns: int, device: torch.device) -> Tensor | None:
        """Bias ``(heads, tokens, tokens)`` within a group of ``rows x columns`` tokens."""
        return None

    def mix(self, qkv: Tensor) -> Tensor:
        groups = self.grouping(qkv.shape[1], qkv.shape[2], **self.sizes)
        return attend_within(groups, qkv, self.head_dim, self.position(*groups.shape, device=qkv.device))

    @classmethod
    def work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        groups = cls.grouping(height, width, **sizes)
        within = work_within(groups, sizes["heads"], sizes["head_dim"])
        return summed(cls.projections(height * width, **sizes), within)


class TableAttention(GroupAttention):
    """With a learned table of relative positions, one number a head and offset up to ``reach`` rows and columns.

    Its middle is offset 0, so a smaller window uses the middle of a larger one's table.
    """

    layout = {**HeadAttention.layout, "table": "heads span@centre span@centre"}

    def __init__(self, dim: int, heads: int, head_dim: int, reach: int, **sizes: int) -> None:
        super().__init__(dim, heads, head_dim, **sizes)
        self.table = small(heads, 2 * reach + 1, 2 * reach + 1)

    def position(self, rows: int, columns: int, device: torch.device) -> Tensor | None:
        return relative_bias(self.table, steps(rows, device), steps(columns, device))
