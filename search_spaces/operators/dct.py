"""Dynamic mixing of cosine spectra: the weights of the frequencies depend on the image."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from search_spaces.operators.base import Operator
from search_spaces.operators.layers import full_precision
from search_spaces.operators.legal import positive
from search_spaces.operators.registry import register
from search_spaces.operators.transforms import constant, cosine_matrix, sides


def band_responses(bands: int, height: int, width: int) -> np.ndarray:
    """``(bands, H, W)``: ``cos(pi k r)`` of the radial frequency ``r`` in [0, 1), a smooth weighting of the spectrum for each
    ``k``. The first is 1 everywhere; fewer bands keep the smoother ones, whatever the resolution."""
    down, across = np.arange(height) / height, np.arange(width) / width
    radius = np.sqrt((down[:, None] ** 2 + across**2) / 2)
    return np.cos(np.pi * np.arange(bands)[:, None, None] * radius)


@register
class DynamicSpectrumMixer(Operator):
    """Orthonormal discrete cosine transform, a weight for every channel and frequency band, transform back, after the Dynamic
    Spectrum Mixer (arXiv 2309.06721). A two-layer map of the image's mean gives the band weights, so they differ
    between images. Here a band is a smooth function of the radial frequency; weights 1, 0, 0, ... are the identity.

    Args:
        dim: channels in and out.
        bands: weights for every channel.
        hidden: units between the mean and the weights.
    """

    name, role, family = "dct_mixer", "mixer", "spectral"
    elastic = {"bands": (2, 4, 8), "hidden": (4, 8)}
    layout = {
        "squeeze.weight": "hidden dim",
        "squeeze.bias": "hidden",
        "weigh.weight": "(bands dim) hidden",
        "weigh.bias": "(bands dim)",
    }

    def __init__(self, dim: int, bands: int, hidden: int) -> None:
        super().__init__()
        self.bands = bands
        self.squeeze = nn.Linear(dim, hidden)
        self.weigh = nn.Linear(hidden, bands * dim)
        with torch.no_grad():
            self.weigh.bias[:dim] += 1.0  # the identity, nearly

    def forward(self, x: Tensor) -> Tensor:
        height, width = sides(x)
        weights = self.weigh(F.gelu(self.squeeze(x.mean((2, 3))))).unflatten(1, (self.bands, -1)).transpose(1, 2)
        dtype, x, weights = x.dtype, full_precision(x), full_precision(weights)
        down, across = cosine_matrix(height), cosine_matrix(width)
        response = weights @ constant(band_responses(self.bands, height, width).reshape(self.bands, -1), x)
        coefficients = (constant(down, x) @ (x @ constant(across.T, x))) * response.unflatten(2, (height, width))
        return (constant(down.T, x) @ (coefficients @ constant(across, x))).to(dtype)

    @classmethod
    def check(cls, shape: tuple[int, ...], **sizes: int) -> None:
        positive(cls, bands=sizes["bands"], hidden=sizes["hidden"])

    @classmethod
    def work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        values, dim, bands = height * width * sizes["dim"], sizes["dim"], sizes["bands"]
        macs = values * (2 * height + 2 * width + bands) + sizes["hidden"] * dim * (1 + bands)
        return macs, 5 * values + sizes["hidden"] + bands * dim
