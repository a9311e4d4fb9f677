"""Evidence for CrossFormer's attentions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from search_spaces.operators.long_short import DynamicBiasAttention, LongDistanceAttention, ShortDistanceAttention
from search_spaces.operators.window import RelativeAttention, WindowAttention
from search_spaces.references.dense import Score, dense, image, seeded, share
from search_spaces.references.registry import degenerate, reference
from search_spaces.references.window import full_attention, without_position


def bias_of(network: Any, down: int, across: int) -> list[float]:
    """The bias network at one offset, step by step."""
    x = network.first.weight @ torch.tensor([down, across], dtype=torch.float64) + network.first.bias
    for norm, to in zip(network.norms, network.maps, strict=True):
        centred = x - x.mean()
        x = centred / (centred.square().mean() + 1e-5).sqrt() * norm.weight + norm.bias
        x = to.weight @ x.clamp(min=0) + to.bias
    return list(x.tolist())


def _grouped(op: Any, step: int, near: bool) -> Score:
    """Tokens of one window of side ``step`` see each other, or those ``step`` apart."""
    known: dict[tuple[int, int], list[float]] = {}

    def score(y: int, x: int, y2: int, x2: int) -> Sequence[float] | None:
        offset = y - y2, x - x2
        if near and (y // step != y2 // step or x // step != x2 // step):
            return None
        if not near and (offset[0] % step or offset[1] % step):
            return None
        offset = offset if near else (offset[0] // step, offset[1] // step)
        if offset not in known:
            known[offset] = bias_of(op.bias, *offset)
        return known[offset]

    return score


@reference("short_distance_attention")
def short_distance(op: Any, x: Tensor) -> Tensor:
    """All pairs of tokens, those of other groups hidden."""
    return dense(op, x, _grouped(op, op.sizes["group"], near=True))


@reference("long_distance_attention")
def long_distance(op: Any, x: Tensor) -> Tensor:
    """All pairs of tokens, those not a multiple of the interval apart hidden."""
    return dense(op, x, _grouped(op, op.sizes["interval"], near=False))


@reference("mhsa_dynamic_bias")
def dynamic_bias(op: Any, x: Tensor) -> Tensor:
    """All pairs of tokens."""
    return dense(op, x, _grouped(op, 1, near=False))


def _no_bias(op: Any) -> Any:
    return without_position(op, "bias.maps.2.weight", "bias.maps.2.bias")


@degenerate("short_distance_attention", "the bias network's values as a table: window attention")
def as_table() -> tuple[Tensor, Tensor]:
    op, x = seeded(ShortDistanceAttention, dim=12, heads=3, head_dim=4, group=4, bias_dim=8), image(2, 12, 9, 6)
    window = share(WindowAttention(dim=12, heads=3, head_dim=4, window=4, shift=0).double(), op)
    with torch.no_grad():
        rows = [[bias_of(op.bias, down, across) for across in range(-3, 4)] for down in range(-3, 4)]
        window.table.copy_(torch.tensor(rows, dtype=torch.float64).permute(2, 0, 1))
    return op(x), window(x)


@degenerate("short_distance_attention", "group = image, no bias: full attention")
def one_group() -> tuple[Tensor, Tensor]:
    op = _no_bias(seeded(ShortDistanceAttention, dim=12, heads=3, head_dim=4, group=7, bias_dim=8))
    x = image(2, 12, 7, 5)
    return op(x), full_attention(op)(x)


@degenerate("long_distance_attention", "interval 1, no bias: full attention")
def every_token() -> tuple[Tensor, Tensor]:
    op = _no_bias(seeded(LongDistanceAttention, dim=12, heads=3, head_dim=4, interval=1, bias_dim=8))
    x = image(2, 12, 7, 5)
    return op(x), full_attention(op)(x)


@degenerate("long_distance_attention", "each of the interval's sub-images by itself: full attention with the same bias")
def sub_images() -> tuple[Tensor, Tensor]:
    op, x = seeded(LongDistanceAttention, dim=12, heads=3, head_dim=4, interval=2, bias_dim=8), image(2, 12, 9, 6)
    full = share(DynamicBiasAttention(dim=12, heads=3, head_dim=4, bias_dim=8).double(), op)
    wanted = torch.zeros_like(x)
    for down in range(2):
        for across in range(2):
            wanted[:, :, down::2, across::2] = full(x[:, :, down::2, across::2])
    return op(x), wanted


@degenerate("mhsa_dynamic_bias", "no bias: full attention, at an image it was never sized for")
def no_bias() -> tuple[Tensor, Tensor]:
    op, x = _no_bias(seeded(DynamicBiasAttention, dim=12, heads=3, head_dim=4, bias_dim=8)), image(2, 12, 11, 3)
    return op(x), full_attention(op)(x)


@degenerate("mhsa_dynamic_bias", "the bias network's values as a table: attention with relative positions")
def full_table() -> tuple[Tensor, Tensor]:
    op, x = seeded(DynamicBiasAttention, dim=12, heads=3, head_dim=4, bias_dim=8), image(2, 12, 4, 5)
    relative = share(RelativeAttention(dim=12, heads=3, head_dim=4, reach=4).double(), op)
    with torch.no_grad():
        rows = [[bias_of(op.bias, down, across) for across in range(-4, 5)] for down in range(-4, 5)]
        relative.table.copy_(torch.tensor(rows, dtype=torch.float64).permute(2, 0, 1))
    return op(x), relative(x)
