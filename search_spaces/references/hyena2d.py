"""Hyena over images against direct convolutions."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from search_spaces.operators.hyena2d import Hyena2d
from search_spaces.references.registry import degenerate, reference


def _filter(op: Hyena2d, height: int, width: int) -> Tensor:
    """``(order * inner, 2H-1, 2W-1)``, the most negative offset first, one offset after another."""
    taps = []
    for down in range(1 - height, height):
        for across in range(1 - width, width):
            place = torch.tensor([down / height, across / width], dtype=torch.float64)
            waves = torch.cat([place * torch.pi, place * torch.pi / 2])
            unit = op.place.weight @ torch.cat([place, waves.cos(), waves.sin()]) + op.place.bias
            unit = (op.hidden.weight @ unit.sin() + op.hidden.bias).sin()
            taps.append(op.filters.weight @ unit * torch.exp(-op.fall[:, 0].exp() * place.norm()))
    filters = torch.stack(taps, 1)
    filters = filters / (filters.abs().sum(1, keepdim=True) + 1e-8)
    return filters.reshape(-1, 2 * height - 1, 2 * width - 1)


@reference("hyena_2d")
def hyena_2d(op: Hyena2d, x: Tensor) -> Tensor:
    """Dense depthwise convolutions with the whole filters."""
    height, width = x.shape[2:]
    streams = F.conv2d(x, op.project.weight[:, :, None, None], op.project.bias)
    streams = F.conv2d(streams, op.short.weight, op.short.bias, padding=1, groups=streams.shape[1])
    inner = streams.shape[1] // (op.order + 1)
    filters = _filter(op, height, width).flip(1, 2).unsqueeze(1)  # conv2d correlates
    values = streams[:, :inner]
    for n in range(op.order):
        taps, skip = filters[n * inner : (n + 1) * inner], op.skip[n * inner : (n + 1) * inner]
        mixed = F.conv2d(values, taps, padding=(height - 1, width - 1), groups=inner)
        values = streams[:, (n + 1) * inner : (n + 2) * inner] * (mixed + skip * values)
    return F.conv2d(values, op.out.weight[:, :, None, None], op.out.bias)


@degenerate("hyena_2d", "filters 0, skip 1: the values times their gates, no mixing beyond the short convolution")
def no_filter() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    op = Hyena2d(dim=4, order=2, expansion=2, filter_width=8).double()
    x = torch.randn(2, 4, 5, 7).double()
    with torch.no_grad():
        op.filters.weight.zero_()
        streams = op.short(F.conv2d(x, op.project.weight[:, :, None, None], op.project.bias))
        v, a, b = streams.chunk(3, 1)
        return op(x), F.conv2d(v * a * b, op.out.weight[:, :, None, None], op.out.bias)


@degenerate("hyena_2d", "fast fall-off: the filter is its sign at offset 0, `short_conv` with a gate after")
def only_the_centre() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    op = Hyena2d(dim=4, order=1, expansion=1, filter_width=8).double()
    x = torch.randn(2, 4, 5, 7).double()
    with torch.no_grad():
        op.fall.fill_(8.0)  # exp(-exp(8) / 7) = 0
        op.place.bias.fill_(1.0)
        v, gate = op.short(F.conv2d(x, op.project.weight[:, :, None, None], op.project.bias)).chunk(2, 1)
        origin = torch.tensor([0, 0, 1, 1, 1, 1, 0, 0, 0, 0], dtype=torch.float64)
        at_origin = op.filters.weight @ op.hidden(op.place(origin).sin()).sin()
        centre = (at_origin / (at_origin.abs() + 1e-8))[:, None, None]
        return op(x), F.conv2d(gate * (centre + 1) * v, op.out.weight[:, :, None, None], op.out.bias)
