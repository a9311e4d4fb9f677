"""Spectral mixers without or with fixed-shape filters: Fourier mixing and the global spectral gate."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from search_spaces.errors import SpaceError
from search_spaces.operators.base import Operator
from search_spaces.operators.layers import full_precision
from search_spaces.operators.legal import flag
from search_spaces.operators.registry import register
from search_spaces.operators.transforms import (
    constant,
    from_spectrum,
    from_spectrum_work,
    sides,
    spectrum,
    spectrum_work,
)


def _fourier(length: int) -> tuple[np.ndarray, np.ndarray]:
    """Cosine and sine matrices of the orthonormal DFT, ``exp(-i angle) = cos - i sin``."""
    angle = 2 * np.pi / length * (np.outer(np.arange(length), np.arange(length)) % length)
    return np.cos(angle) / length**0.5, np.sin(angle) / length**0.5


@register
class FourierMixing(Operator):
    """The real part of the discrete Fourier transform over rows, columns and channels (Lee-Thorp et al., FNet, arXiv
    2105.03824). No parameters. The transform is orthonormal, so its scale does not grow with the image.

    Args:
        dim: channels in and out.
        mix_channels: 1 to transform the channels too, as in the paper; 0 for rows and columns only.
    """

    name, role, family = "fourier_mixing", "mixer", "spectral"
    elastic = {"mix_channels": (0, 1)}

    def __init__(self, dim: int, mix_channels: int) -> None:
        super().__init__()
        self.dim, self.over_channels = dim, bool(mix_channels)

    def forward(self, x: Tensor) -> Tensor:
        (height, width), dtype, x = sides(x), x.dtype, full_precision(x)
        cos, sin = _fourier(width)
        if self.over_channels:  # (a - i b)(cos - i sin): a, b are the channels' cosine and sine transforms
            channel_cos, channel_sin = _fourier(self.dim)
            both = constant(np.vstack([channel_cos, channel_sin]), x) @ x.flatten(2)
            both = torch.cat(both.unflatten(2, (height, width)).chunk(2, 1), 3)
            x = both @ constant(np.block([[cos, sin], [-sin, cos]]), x)
        else:
            x = x @ constant(np.hstack([cos, sin]), x)
        parts = torch.cat(x.chunk(2, 3), 2)
        cos, sin = _fourier(height)
        return (constant(np.hstack([cos, -sin]), x) @ parts).to(dtype)

    @classmethod
    def check(cls, shape: tuple[int, ...], **sizes: int) -> None:
        flag(cls, mix_channels=sizes["mix_channels"])

    @classmethod
    def work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        values, dim = height * width * sizes["dim"], sizes["dim"]
        if sizes["mix_channels"]:
            return values * (2 * dim + 4 * width + 2 * height), 5 * values
        return values * (2 * width + 2 * height), 3 * values


@register
class SpectralGate(Operator):
    """A learnable complex gate for every channel and frequency (Rao et al., GFNet, arXiv 2107.00645; Patro et al.,
    SpectFormer, arXiv 2304.06446): transform, multiply, transform back. It is a circular convolution with a filter as large
    as the image.

    The gates of the lowest ``modes`` frequencies of a ``grid`` x ``grid`` image are learned; other frequencies pass. On an
    image of another size the gates are interpolated at its frequencies (cycles a pixel), so all gates at 1 are the identity
    at any resolution, and ``modes = grid`` on a ``grid`` x ``grid`` image is GFNet's filter.

    Args:
        dim: channels in and out.
        grid: even side of the image whose frequencies the table holds.
        modes: even number of rows of the table, at most ``grid``: the frequencies nearest to zero.
    """

    name, role, family = "spectral_gate", "mixer", "spectral"
    elastic = {"grid": (8,), "modes": (4, 6, 8)}
    layout = {"gate": "2 dim modes@centre half"}

    def __init__(self, dim: int, grid: int, modes: int) -> None:
        super().__init__()
        self.grid, self.modes = grid, modes
        gate = 0.02 * torch.randn(2, dim, modes, modes // 2 + 1)
        gate[0] += 1.0
        self.gate = nn.Parameter(gate)  # rows from frequency -modes/2 to modes/2 - 1, columns from 0 to modes/2

    def _interpolation(self, length: int, half: bool) -> np.ndarray:
        """``(frequencies of a side of length, table rows or columns)``: hats around the table's frequencies."""
        index = np.arange(length // 2 + 1) if half else (np.arange(length) + length // 2) % length - length // 2
        entries = np.arange(self.modes // 2 + 1) if half else np.arange(self.modes) - self.modes // 2
        distance = np.abs((index * self.grid / length)[:, None] - entries)
        if not half:
            distance = np.minimum(distance, self.grid - distance)  # +1/2 and -1/2 cycle a pixel are one frequency
        return np.clip(1 - distance, 0, None)

    def forward(self, x: Tensor) -> Tensor:
        height, width = sides(x)
        dtype, x, gate = x.dtype, full_precision(x), full_precision(self.gate)
        learned_real, learned_imaginary = gate.chunk(2, 0)
        change = torch.cat([learned_real - 1.0, learned_imaginary], 0)
        change = change @ constant(self._interpolation(width, half=True).T, x)
        change = constant(self._interpolation(height, half=False), x) @ change
        gate_real, gate_imaginary = change.chunk(2, 0)
        gate_real = gate_real + 1.0
        real, imaginary = spectrum(x, height, width)
        mixed_real = gate_real * real - gate_imaginary * imaginary
        mixed_imaginary = gate_real * imaginary + gate_imaginary * real
        return from_spectrum(mixed_real, mixed_imaginary, height, width, width).to(dtype)

    @classmethod
    def axes(cls, **sizes: int) -> dict[str, int]:
        return {**sizes, "half": sizes["modes"] // 2 + 1}

    @classmethod
    def check(cls, shape: tuple[int, ...], **sizes: int) -> None:
        grid, modes = sizes["grid"], sizes["modes"]
        if grid % 2 or grid < 2:
            raise SpaceError(f"operator {cls.name!r}: grid: got {grid}; legal: even numbers from 2")
        if modes % 2 or not 2 <= modes <= grid:
            raise SpaceError(f"operator {cls.name!r}: modes: got {modes}; legal: even numbers from 2 to grid = {grid}")

    @classmethod
    def work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        modes, half = sizes["modes"], width // 2 + 1
        table = 2 * modes * half * (modes // 2 + 1 + height), 2 * half * (modes + height)
        there = spectrum_work(height, width, height, width)
        back = from_spectrum_work(height, width, height, width)
        return sizes["dim"] * (there[0] + back[0] + table[0]), sizes["dim"] * (there[1] + back[1] + table[1])
