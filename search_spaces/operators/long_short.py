"""Short- and long-distance attention and the dynamic position bias of CrossFormer."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from search_spaces.operators.attention_parts import GroupAttention, HeadAttention, relative_bias, steps, summed
from search_spaces.operators.groups import Grouping, whole, windows
from search_spaces.operators.registry import register


class DynamicBias(nn.Module):
    """A small network from an offset (rows, columns) to a bias for each head (Wang et al., CrossFormer, arXiv 2108.00154): it
    serves any group size and any resolution.

    Args:
        heads: number of heads.
        hidden: its width.
    """

    layout = {
        "first.weight": "bias_dim 2",
        "first.bias": "bias_dim",
        "norms.0.weight": "bias_dim",
        "norms.0.bias": "bias_dim",
        "norms.1.weight": "bias_dim",
        "norms.1.bias": "bias_dim",
        "norms.2.weight": "bias_dim",
        "norms.2.bias": "bias_dim",
        "maps.0.weight": "bias_dim bias_dim",
        "maps.0.bias": "bias_dim",
        "maps.1.weight": "bias_dim bias_dim",
        "maps.1.bias": "bias_dim",
        "maps.2.weight": "heads bias_dim",
        "maps.2.bias": "heads",
    }

    def __init__(self, heads: int, hidden: int) -> None:
        super().__init__()
        self.first = nn.Linear(2, hidden)
        self.norms = nn.ModuleList(nn.LayerNorm(hidden) for _ in range(3))
        self.maps = nn.ModuleList(nn.Linear(hidden, width) for width in (hidden, hidden, heads))

    def forward(self, rows: int, columns: int) -> Tensor:
        """The table of all offsets within ``rows x columns`` tokens: ``(heads, 2 * rows - 1, 2 * columns - 1)``."""
        like = self.first.weight
        down, across = (torch.arange(1 - n, n, dtype=like.dtype, device=like.device) for n in (rows, columns))
        grid = torch.stack((down.unsqueeze(1).expand(-1, len(across)), across.expand(len(down), -1)), -1)
        x = self.first(grid.flatten(0, 1))
        for norm, to in zip(self.norms, self.maps, strict=True):
            x = to(F.relu(norm(x)))
        return x.transpose(0, 1).reshape(-1, len(down), len(across))

    @staticmethod
    def work(rows: int, columns: int, heads: int, hidden: int) -> tuple[int, int]:
        """(MACs, activations)."""
        offsets = (2 * rows - 1) * (2 * columns - 1)
        return offsets * hidden * (2 + 2 * hidden + heads), offsets * (3 * hidden + heads)


class _DynamicAttention(GroupAttention):
    """Attention within groups, with a dynamic bias by relative position, counted in steps within the group."""

    elastic = {**HeadAttention.elastic, "bias_dim": (8, 16)}
    layout = {**HeadAttention.layout, **{f"bias.{name}": axes for name, axes in DynamicBias.layout.items()}}

    def __init__(self, dim: int, heads: int, head_dim: int, bias_dim: int, **sizes: int) -> None:
        super().__init__(dim, heads, head_dim, **sizes)
        self.bias = DynamicBias(heads, bias_dim)

    def position(self, rows: int, columns: int, device: torch.device) -> Tensor | None:
        return relative_bias(self.bias(rows, columns), steps(rows, device), steps(columns, device))

    @classmethod
    def work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        shape = cls.grouping(height, width, **sizes).shape
        bias = DynamicBias.work(*shape, sizes["heads"], sizes["bias_dim"])
        return summed(super().work(height, width, **sizes), bias)


@register
class ShortDistanceAttention(_DynamicAttention):
    """CrossFormer's short-distance attention (Wang et al., arXiv 2108.00154): groups of ``group x group`` neighbours. Sides
    that the group does not divide are padded and the padding hidden.

    Args:
        dim: channels in and out.
        heads: number of heads.
        head_dim: channels of a head.
        group: side of a group.
        bias_dim: width of the bias network.
    """

    name = "short_distance_attention"
    elastic = {**_DynamicAttention.elastic, "group": (4, 7)}

    def __init__(self, dim: int, heads: int, head_dim: int, group: int, bias_dim: int) -> None:
        super().__init__(dim, heads, head_dim, bias_dim, group=group)

    @classmethod
    def grouping(cls, height: int, width: int, **sizes: int) -> Grouping:
        return windows(height, width, sizes["group"])


@register
class LongDistanceAttention(_DynamicAttention):
    """CrossFormer's long-distance attention (Wang et al., arXiv 2108.00154): tokens ``interval`` apart, along rows and columns,
    form a group. Interval 1 is full attention. Sides that the interval does not divide are padded and the padding hidden.

    Args:
        dim: channels in and out.
        heads: number of heads.
        head_dim: channels of a head.
        interval: tokens between two of a group.
        bias_dim: width of the bias network.
    """

    name = "long_distance_attention"
    elastic = {**_DynamicAttention.elastic, "interval": (1, 2, 4)}

    def __init__(self, dim: int, heads: int, head_dim: int, interval: int, bias_dim: int) -> None:
        super().__init__(dim, heads, head_dim, bias_dim, interval=interval)

    @classmethod
    def grouping(cls, height: int, width: int, **sizes: int) -> Grouping:
        cell = min(sizes["interval"], height), min(sizes["interval"], width)
        return Grouping(height, width, cell, strided=True)


@register
class DynamicBiasAttention(_DynamicAttention):
    """Softmax attention over the whole image with CrossFormer's dynamic position bias (arXiv 2108.00154).

    Args:
        dim: channels in and out.
        heads: number of heads.
        head_dim: channels of a head.
        bias_dim: width of the bias network.
    """

    name = "mhsa_dynamic_bias"

    def __init__(self, dim: int, heads: int, head_dim: int, bias_dim: int) -> None:
        super().__init__(dim, heads, head_dim, bias_dim)

    @classmethod
    def grouping(cls, height: int, width: int, **sizes: int) -> Grouping:
        return whole(height, width)
