"""Neighbourhood attention, plain and dilated."""

from __future__ import annotations

import torch
from torch import Tensor

from search_spaces.operators.attention_parts import (
    HeadAttention,
    attend,
    attend_work,
    relative_bias,
    small,
    steps,
    summed,
)
from search_spaces.operators.groups import hide
from search_spaces.operators.legal import odd
from search_spaces.operators.registry import register


def reach(side: int, kernel: int, dilation: int) -> tuple[int, int]:
    """The kernel and dilation that fit into a side: the kernel is cut to the side, then the dilation to what is left."""
    kernel = min(kernel, side)
    return kernel, min(dilation, side // kernel)


def neighbours(side: int, kernel: int, dilation: int, device: torch.device) -> Tensor:
    """The ``kernel`` places that each place of an axis sees ``(side, kernel)``: those ``dilation`` apart and nearest to it.

    Near an end the neighbourhood is moved inward, so that every place sees exactly ``kernel`` of them.
    """
    place = torch.arange(side, device=device)
    first = place % dilation  # of the places that a dilated neighbourhood can reach
    number = (place - first) // dilation
    last = (side - 1 - first) // dilation + 1 - kernel
    start = torch.minimum((number - kernel // 2).clamp(min=0), last)
    return first.unsqueeze(1) + dilation * (start.unsqueeze(1) + torch.arange(kernel, device=device))


@register
class NeighbourhoodAttention(HeadAttention):
    """Every token sees the ``kernel x kernel`` tokens nearest to it, ``dilation`` apart, with a table of relative positions
    (Hassani et al., NA, arXiv 2204.07143; Hassani & Shi, DiNA, arXiv 2209.15001). At the border the neighbourhood is moved
    inward. A kernel larger than the image is the image (full attention); a dilation that does not fit is cut to what does.

    Rows of the neighbourhood are gathered and columns outside it hidden: a query row multiplies with ``kernel`` whole rows of
    keys. That is more arithmetic than gathering each neighbourhood, but a few large products on little memory.

    Args:
        dim: channels in and out.
        heads: number of heads.
        head_dim: channels of a head.
        kernel: odd side of the neighbourhood, in tokens that are seen.
        dilation: distance between two of them.
    """

    name = "neighbourhood_attention"
    elastic = {**HeadAttention.elastic, "kernel": (3, 5, 7), "dilation": (1, 2, 4)}
    layout = {**HeadAttention.layout, "table": "heads span@centre span@centre"}

    def __init__(self, dim: int, heads: int, head_dim: int, kernel: int, dilation: int) -> None:
        super().__init__(dim, heads, head_dim)
        self.kernel, self.dilation = kernel, dilation
        self.table = small(heads, 2 * kernel - 1, 2 * kernel - 1)

    def mix(self, qkv: Tensor) -> Tensor:
        batch, height, width, _ = qkv.shape
        (tall, down), (wide, across) = (reach(side, self.kernel, self.dilation) for side in (height, width))
        q, k, v = qkv.chunk(3, -1)
        rows = neighbours(height, tall, down, qkv.device)
        q, k, v = (
            t.reshape(batch, height, -1, self.heads, self.head_dim).transpose(2, 3)
            for t in (q, *(t.index_select(1, rows.flatten()) for t in (k, v)))
        )  # (B, H, heads, W, head_dim), and keys and values of all neighbouring rows
        columns, place = neighbours(width, wide, across, qkv.device), torch.arange(width, device=qkv.device)
        hidden = hide((columns.unsqueeze(-1) == place).sum(1), qkv.dtype)  # (W, W): columns that are no neighbours
        vertical = (torch.arange(height, device=qkv.device).unsqueeze(1) - rows) // down
        bias = relative_bias(self.table, vertical, steps(width, qkv.device) // across, hidden)
        bias = bias.unflatten(1, (height, width)).transpose(0, 1)  # (H, heads, W, tall * W)
        return attend(q, k, v, bias).transpose(2, 3).flatten(3)

    @classmethod
    def check(cls, shape: tuple[int, ...], **sizes: int) -> None:
        super().check(shape, **sizes)
        odd(cls, kernel=sizes["kernel"])

    @classmethod
    def axes(cls, **sizes: int) -> dict[str, int]:
        return {**sizes, "span": 2 * sizes["kernel"] - 1}

    @classmethod
    def work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        tokens, keys = height * width, min(sizes["kernel"], height) * width
        attending = attend_work(tokens, keys, sizes["heads"], sizes["head_dim"])
        return summed(cls.projections(tokens, **sizes), attending)
