"""From stored images to batches. Nothing has state: (seed, step) gives the generator, so any step can be replayed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F

__all__ = ["augment", "epoch_order", "step_rng", "to_batch"]

_STEP, _EPOCH = 1, 2  # keeps the streams of steps and epochs apart


def step_rng(seed: int, step: int, stream: int = 0) -> np.random.Generator:
    """The generator of one training step; other `stream` numbers give independent generators for the same step."""
    return np.random.default_rng([seed, _STEP, step, stream])


def epoch_order(n: int, seed: int, epoch: int) -> torch.Tensor:
    """The order in which an epoch visits n images: int64 (n,), a permutation."""
    return torch.from_numpy(np.random.default_rng([seed, _EPOCH, epoch]).permutation(n))


def augment(images: torch.Tensor, rng: np.random.Generator, flips: bool) -> torch.Tensor:
    """Shift every image by up to an eighth of its side, filling by reflection, and mirror half of them if `flips`.

    images: uint8 (B, C, H, W); the result has the same shape and type, and reads pixels only (no new values).
    """
    count, _, height, width = images.shape
    rows = _reflected(height, rng.integers(-(height // 8), height // 8 + 1, count))
    columns = _reflected(width, rng.integers(-(width // 8), width // 8 + 1, count))
    if flips:
        mirrored = rng.random(count) < 0.5
        columns[mirrored] = columns[mirrored, ::-1]
    r = torch.from_numpy(rows).to(images.device)[:, None, :, None]
    c = torch.from_numpy(columns).to(images.device)[:, None, None, :]
    # flat positions and one gather: several times faster than indexing with three arrays
    return images.flatten(2).gather(2, (r * width + c).flatten(2).expand(-1, images.shape[1], -1)).view_as(images)


def _reflected(size: int, shifts: np.ndarray) -> np.ndarray:
    """Source positions (B, size) of a shift; the edge pixel is not repeated."""
    position = np.abs(np.arange(size)[None, :] + shifts[:, None])
    return (size - 1) - np.abs((size - 1) - position)


def to_batch(images: torch.Tensor, mean: Sequence[float], std: Sequence[float], resolution: int) -> torch.Tensor:
    """Normalise, and resize where the resolution differs (bilinear, antialiased).

    images: uint8 (B, C, H, W); mean and std per channel on a scale of 0 to 1. Returns float32
    (B, C, resolution, resolution) in channels_last memory on the device of the images.
    """
    shape = (1, -1, 1, 1)
    scale = torch.tensor([1.0 / (255.0 * s) for s in std], device=images.device).view(shape)
    shift = torch.tensor([m / s for m, s in zip(mean, std, strict=True)], device=images.device).view(shape)
    batch = images.to(torch.float32) * scale - shift
    if batch.shape[-2:] != (resolution, resolution):
        batch = F.interpolate(batch, (resolution, resolution), mode="bilinear", align_corners=False, antialias=True)
    return batch.contiguous(memory_format=torch.channels_last)
