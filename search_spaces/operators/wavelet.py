"""Token mixing in a wavelet's bands."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from search_spaces.operators.base import Operator
from search_spaces.operators.convolutions import pointwise
from search_spaces.operators.registry import register


def haar(x: Tensor) -> Tensor:
    """Orthonormal 2-D Haar transform of one level: ``(B, C, H, W)`` of even sides -> ``(B, 4 C, H/2, W/2)``, band by band:
    means, then differences of columns, of rows, and of both."""
    top, bottom = x[:, :, 0::2], x[:, :, 1::2]
    low, high = top + bottom, top - bottom
    bands = [part[..., 0::2] + sign * part[..., 1::2] for part in (low, high) for sign in (1, -1)]
    return torch.cat(bands, 1) / 2


def inverse_haar(bands: Tensor) -> Tensor:
    """``(B, 4 C, H, W)`` -> ``(B, C, 2 H, 2 W)``: the inverse of `haar`."""
    mean, columns, rows, both = bands.chunk(4, 1)
    low = torch.stack([mean + columns, mean - columns], -1).flatten(-2)
    high = torch.stack([rows + both, rows - both], -1).flatten(-2)
    return torch.stack([low + high, low - high], 3).flatten(2, 3) / 2


@register
class WaveMix(Operator):
    """WaveMix (Jeevan et al., arXiv 2203.03689): 1x1 down, Haar transform of one level, a two-layer map over the channels of
    all bands, and a transposed convolution back to the image's size. Odd sides are filled with zeros and cut again.

    Args:
        dim: channels in and out.
        inner: channels that are transformed.
        expansion: hidden channels of the map over ``4 * inner``.
    """

    name, role, family = "wavemix", "mixer", "spectral"
    elastic = {"inner": (4, 8), "expansion": (1, 2, 4)}
    layout = {
        "down.weight": "inner dim 1 1",
        "down.bias": "inner",
        "first.weight": "(4 expansion inner) (4 inner) 1 1",
        "first.bias": "(4 expansion inner)",
        "second.weight": "(4 inner) (4 expansion inner) 1 1",
        "second.bias": "(4 inner)",
        "up.weight": "(4 inner) dim 4 4",
        "up.bias": "dim",
    }

    def __init__(self, dim: int, inner: int, expansion: int) -> None:
        super().__init__()
        self.down = pointwise(dim, inner)
        self.first = pointwise(4 * inner, 4 * inner * expansion)
        self.second = pointwise(4 * inner * expansion, 4 * inner)
        self.up = nn.ConvTranspose2d(4 * inner, dim, 4, stride=2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[2:]
        bands = haar(F.pad(self.down(x), (0, width % 2, 0, height % 2)))
        return self.up(self.second(F.gelu(self.first(bands))))[:, :, :height, :width]

    @classmethod
    def work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        dim, inner, bands = sizes["dim"], sizes["inner"], 4 * sizes["inner"]
        quarter = -(-height // 2) * -(-width // 2)
        macs = height * width * dim * inner + quarter * bands * (2 * bands * sizes["expansion"] + 16 * dim)
        written = height * width * inner + quarter * (bands * (sizes["expansion"] + 1) + 4 * dim)
        return macs, written
