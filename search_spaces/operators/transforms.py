"""Constant matrices and what is done with them: discrete Fourier and cosine transforms, and bilinear resampling.

Everything is a matrix product with constants that are known once the shape is: FFTs and interpolation kernels export badly,
and at the sides of feature maps (7 to 56) a product is as fast.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

Counts = tuple[int, int]  # multiply-accumulates, values written


def constant(array: np.ndarray, like: Tensor) -> Tensor:
    """``array`` with the dtype and on the device of ``like``; a constant of an exported graph."""
    kind = np.float64 if like.dtype == torch.float64 else np.float32
    return torch.tensor(np.ascontiguousarray(array, kind), dtype=like.dtype, device=like.device)


def sides(x: Tensor) -> tuple[int, int]:
    """The last two lengths of ``x`` as plain integers, which they are not while ``torch.jit.trace`` records a module."""
    return int(x.shape[-2]), int(x.shape[-1])


def _angles(rows: int, columns: int, period: int) -> np.ndarray:
    """``2 pi r c / period``, with the product reduced first so that large indices lose no digits."""
    return 2 * np.pi / period * (np.outer(np.arange(rows), np.arange(columns)) % period)


def forward_matrices(height: int, width: int, rows: int, columns: int) -> tuple[np.ndarray, np.ndarray]:
    """The two products of `spectrum`: ``(width, 2 half)`` and ``(2 rows, 2 height)``, with ``half = columns // 2 + 1``."""
    across = _angles(width, columns // 2 + 1, columns)
    down = _angles(rows, height, rows)
    cos, sin = np.cos(down), np.sin(down)
    return np.hstack([np.cos(across), -np.sin(across)]), np.block([[cos, sin], [-sin, cos]])


def inverse_matrices(height: int, width: int, rows: int, columns: int) -> tuple[np.ndarray, np.ndarray]:
    """The two products of `from_spectrum`: ``(2 height, 2 rows)`` and ``(2 half, width)``."""
    down = _angles(height, rows, rows)
    cos, sin = np.cos(down), np.sin(down)
    across = _angles(columns // 2 + 1, width, columns)
    twice = np.full((columns // 2 + 1, 1), 2.0)  # a real image's other half is the conjugate of this one
    twice[0] = 1.0
    if columns % 2 == 0:
        twice[-1] = 1.0
    back = np.vstack([twice * np.cos(across), -twice * np.sin(across)])
    return np.block([[cos, -sin], [sin, cos]]) / rows, back / columns


def spectrum(x: Tensor, rows: int, columns: int) -> tuple[Tensor, Tensor]:
    """Real and imaginary part ``(..., rows, columns // 2 + 1)`` of the 2-D DFT of ``x`` ``(..., H, W)``, zero-padded to
    ``rows`` x ``columns``."""
    across, down = forward_matrices(*sides(x), rows, columns)
    half = torch.cat((x @ constant(across, x)).chunk(2, -1), -2)
    real, imaginary = (constant(down, x) @ half).chunk(2, -2)
    return real, imaginary


def from_spectrum(real: Tensor, imaginary: Tensor, height: int, width: int, columns: int) -> Tensor:
    """The first ``height`` rows and ``width`` columns of the inverse of `spectrum`."""
    down, across = inverse_matrices(height, width, sides(real)[0], columns)
    half = constant(down, real) @ torch.cat((real, imaginary), -2)
    return torch.cat(half.chunk(2, -2), -1) @ constant(across, real)


def spectrum_work(height: int, width: int, rows: int, columns: int) -> Counts:
    """What `spectrum` costs for one channel. `from_spectrum` does as many multiply-accumulates."""
    half = columns // 2 + 1
    return 2 * half * height * (width + 2 * rows), 2 * half * (height + rows)


def from_spectrum_work(height: int, width: int, rows: int, columns: int) -> Counts:
    """What `from_spectrum` costs for one channel."""
    return spectrum_work(height, width, rows, columns)[0], height * (2 * (columns // 2 + 1) + width)


def cosine_matrix(length: int) -> np.ndarray:
    """The orthonormal DCT-II ``(frequency, position)``; its transpose is its inverse."""
    frequency, position = np.arange(length)[:, None], np.arange(length) + 0.5
    matrix = np.sqrt(2 / length) * np.cos(np.pi / length * frequency * position)
    matrix[0] = np.sqrt(1 / length)
    return matrix


def resize_matrix(source: int, target: int) -> np.ndarray:
    """``(target, source)``: linear interpolation between cell centres, edges held, as `F.interpolate` does bilinearly."""
    place = np.clip((np.arange(target) + 0.5) * source / target - 0.5, 0, source - 1)
    return np.clip(1 - np.abs(place[:, None] - np.arange(source)), 0, None)


def resize_last(x: Tensor, length: int) -> Tensor:
    """The last axis of ``x`` resampled to ``length``; nothing is computed if it has that length."""
    source = sides(x)[1]
    return x if source == length else x @ constant(resize_matrix(source, length).T, x)


def resize_table(table: Tensor, height: int, width: int) -> Tensor:
    """``(C, grid, grid)`` -> ``(C, height, width)``, bilinearly."""
    table, grid = resize_last(table, width), sides(table)[0]
    return table if grid == height else constant(resize_matrix(grid, height), table) @ table


def resize_table_work(grid: int, height: int, width: int) -> Counts:
    """What `resize_table` costs for one channel."""
    across = (grid * grid * width, grid * width) if grid != width else (0, 0)
    down = (grid * height * width, height * width) if grid != height else (0, 0)
    return across[0] + down[0], across[1] + down[1]
