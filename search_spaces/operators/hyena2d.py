"""Hyena over images: gates and implicit filters that reach over the whole image."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from search_spaces.operators.base import Operator
from search_spaces.operators.layers import full_precision
from search_spaces.operators.legal import positive
from search_spaces.operators.registry import register
from search_spaces.operators.transforms import (
    constant,
    from_spectrum,
    from_spectrum_work,
    sides,
    spectrum,
    spectrum_work,
)

FEATURES = 10


def offsets(height: int, width: int) -> np.ndarray:
    """``((2H-1)(2W-1), 2)``: the offsets of a filter as large as it can be, over the image's sides, in the order of a
    circular convolution: 0, 1, ... and then the negative ones."""
    sides = [np.concatenate([np.arange(n), np.arange(1 - n, 0)]) / n for n in (height, width)]
    return np.stack(np.meshgrid(*sides, indexing="ij"), -1).reshape(-1, 2)


def features(places: np.ndarray) -> np.ndarray:
    """``(n, 2)`` offsets in (-1, 1) -> ``(n, FEATURES)``: themselves, and cosine and sine of one and of half a turn each."""
    turns = np.concatenate([np.pi * places, np.pi / 2 * places], 1)
    return np.concatenate([places, np.cos(turns), np.sin(turns)], 1)


@register
class Hyena2d(Operator):
    """Hyena (Poli et al., arXiv 2302.10866) in its N-D form (Zimerman & Wolf, arXiv 2309.13600) over images, non-causal:
    the values pass ``order`` times through a long 2-D convolution and a gate, ``v = gate_n * (filter_n * v + skip_n v)``.

    The filters are implicit: a small sine MLP of the offset (over the image's sides, so any resolution will do) gives every
    channel's filter, which falls off exponentially and is normalised to an absolute sum of 1. The convolution is linear
    (zero-padded, no wrap-around), by products with DFT matrices of sides ``2H-1`` and ``2W-1``.

    Args:
        dim: channels in and out.
        order: long convolutions and gates.
        expansion: inner channels over ``dim``.
        filter_width: hidden units of the filter's MLP.
    """

    name, role, family = "hyena_2d", "mixer", "spectral"
    elastic = {"order": (1, 2), "expansion": (1, 2), "filter_width": (8, 16)}
    layout = {
        "project.weight": "(streams inner) dim",
        "project.bias": "(streams inner)",
        "short.weight": "(streams inner) 1 3 3",
        "short.bias": "(streams inner)",
        "place.weight": "filter_width features",
        "place.bias": "filter_width",
        "hidden.weight": "filter_width filter_width",
        "hidden.bias": "filter_width",
        "filters.weight": "(order inner) filter_width",
        "fall": "(order inner) 1",
        "skip": "(order inner) 1 1",
        "out.weight": "dim inner",
        "out.bias": "dim",
    }

    def __init__(self, dim: int, order: int, expansion: int, filter_width: int) -> None:
        super().__init__()
        inner = dim * expansion
        self.order = order
        self.project = nn.Linear(dim, (order + 1) * inner)
        self.short = nn.Conv2d((order + 1) * inner, (order + 1) * inner, 3, padding=1, groups=(order + 1) * inner)
        self.place = nn.Linear(FEATURES, filter_width)
        self.hidden = nn.Linear(filter_width, filter_width)
        self.filters = nn.Linear(filter_width, order * inner, bias=False)
        self.out = nn.Linear(inner, dim)
        self.fall = nn.Parameter(torch.linspace(0, 3, inner).repeat(order).unsqueeze(1))  # e-foldings a side: 1 to 20
        self.skip = nn.Parameter(torch.ones(order * inner, 1, 1))
        nn.init.uniform_(self.place.weight, -3, 3)  # several waves of the sine over the image

    def long_filters(self, height: int, width: int) -> Tensor:
        """``(order * inner, 2H-1, 2W-1)``, in the order of `offsets`."""
        places = offsets(height, width)
        fall = full_precision(self.fall)
        hidden = torch.sin(self.place(constant(features(places), self.place.weight)))
        filters = full_precision(self.filters(torch.sin(self.hidden(hidden)))).transpose(0, 1)
        distance = constant(np.sqrt((places**2).sum(1))[None], fall)
        filters = filters * (-fall.exp() * distance).exp()
        filters = filters / (filters.abs().sum(1, keepdim=True) + 1e-8)
        return filters.unflatten(1, (2 * height - 1, 2 * width - 1))

    def forward(self, x: Tensor) -> Tensor:
        height, width = sides(x)
        rows, columns = 2 * height - 1, 2 * width - 1
        streams = self.project(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        values, *gates = self.short(streams).chunk(self.order + 1, 1)
        filters = spectrum(self.long_filters(height, width), rows, columns)
        real_parts, imaginary_parts = (part.chunk(self.order) for part in filters)
        for n, (gate, skip) in enumerate(zip(gates, self.skip.chunk(self.order), strict=True)):
            filter_real, filter_imaginary = real_parts[n], imaginary_parts[n]
            real, imaginary = spectrum(full_precision(values), rows, columns)
            mixed_real = real * filter_real - imaginary * filter_imaginary
            mixed_imaginary = real * filter_imaginary + imaginary * filter_real
            mixed = from_spectrum(mixed_real, mixed_imaginary, height, width, columns).to(x.dtype)
            values = gate * (mixed + skip * values)
        return self.out(values.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)

    @classmethod
    def axes(cls, **sizes: int) -> dict[str, int]:
        inner = sizes["dim"] * sizes["expansion"]
        return {**sizes, "inner": inner, "streams": sizes["order"] + 1, "features": FEATURES}

    @classmethod
    def check(cls, shape: tuple[int, ...], **sizes: int) -> None:
        positive(cls, order=sizes["order"], expansion=sizes["expansion"], filter_width=sizes["filter_width"])

    @classmethod
    def work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        tokens, dim, order = height * width, sizes["dim"], sizes["order"]
        inner, units = dim * sizes["expansion"], sizes["filter_width"]
        rows, columns = 2 * height - 1, 2 * width - 1
        macs = tokens * inner * ((order + 1) * (dim + 9) + dim)
        writes = tokens * (2 * (order + 1) * inner + dim)
        macs += rows * columns * units * (FEATURES + units + order * inner)
        writes += rows * columns * (2 * units + order * inner)
        counts = (
            spectrum_work(rows, columns, rows, columns),
            spectrum_work(height, width, rows, columns),
            from_spectrum_work(height, width, rows, columns),
        )
        return macs + order * inner * sum(n for n, _ in counts), writes + order * inner * sum(n for _, n in counts)
