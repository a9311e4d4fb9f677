"""Fourier mixing and the spectral gate against torch's own FFT."""

from __future__ import annotations

import torch
from torch import Tensor

from search_spaces.operators.spectral import FourierMixing, SpectralGate
from search_spaces.references.registry import degenerate, reference


@reference("fourier_mixing")
def fourier_mixing(op: FourierMixing, x: Tensor) -> Tensor:
    """One FFT over all transformed axes."""
    axes = (1, 2, 3) if op.over_channels else (2, 3)
    return torch.fft.fftn(x, dim=axes, norm="ortho").real


@reference("spectral_gate")
def spectral_gate(op: SpectralGate, x: Tensor) -> Tensor:
    """Every frequency's gate looked up by itself, between torch's real FFT and its inverse."""
    height, width = x.shape[2:]
    gate = torch.complex(op.gate[0], op.gate[1])
    change = torch.zeros(x.shape[1], height, width // 2 + 1, dtype=gate.dtype)
    for u, down in enumerate(torch.fft.fftfreq(height, dtype=torch.float64).tolist()):
        for v, across in enumerate(torch.fft.rfftfreq(width, dtype=torch.float64).tolist()):
            for i in range(op.modes):
                for j in range(op.modes // 2 + 1):
                    far = abs(down * op.grid - (i - op.modes // 2))
                    near = max(0.0, 1 - min(far, op.grid - far)) * max(0.0, 1 - abs(across * op.grid - j))
                    change[:, u, v] += near * (gate[:, i, j] - 1)
    return torch.fft.irfft2(torch.fft.rfft2(x) * (1 + change), s=(height, width))


@degenerate("fourier_mixing", "1 x 1 image, channels kept: identity")
def fourier_of_a_pixel() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    x = torch.randn(2, 6, 1, 1).double()
    return FourierMixing(dim=6, mix_channels=0)(x), x


@degenerate("fourier_mixing", "applied twice: the even part of the input")
def fourier_twice() -> tuple[Tensor, Tensor]:
    """The real part of the DFT is the DFT of the even part, and the DFT of an even signal applied twice gives it back."""
    torch.manual_seed(0)
    x = torch.randn(2, 5, 6, 7).double()
    even = (x + x.flip(1, 2, 3).roll((1, 1, 1), (1, 2, 3))) / 2
    mixing = FourierMixing(dim=5, mix_channels=1)
    return mixing(mixing(x)), even


@degenerate("spectral_gate", "all gates 1: identity, at a resolution that is not the table's")
def open_gate() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    op = SpectralGate(dim=6, grid=8, modes=6).double()
    with torch.no_grad():
        op.gate[0], op.gate[1] = 1.0, 0.0
        x = torch.randn(2, 6, 9, 14).double()
        return op(x), x


@degenerate("spectral_gate", "modes = grid = side: the circular convolution with the filter's inverse transform")
def circular_convolution() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    op = SpectralGate(dim=3, grid=6, modes=6).double()
    with torch.no_grad():
        op.gate.add_(torch.randn(op.gate.shape))
        gate = torch.complex(op.gate[0], op.gate[1]).roll(-3, 1)  # DC first, as torch orders frequencies
        kernel = torch.fft.irfft2(gate, s=(6, 6))
        x = torch.randn(2, 3, 6, 6).double()
        wanted = torch.zeros_like(x)
        for i in range(6):
            for j in range(6):
                wanted += kernel[:, i, j, None, None] * x.roll((i, j), (2, 3))
        return op(x), wanted
