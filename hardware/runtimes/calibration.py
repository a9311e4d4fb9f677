"""Inputs for calibration: what an int8 conversion looks at to choose the ranges of its integers.

Int8 is converted here to be timed. The ranges come from random inputs, not from data, so the error of an int8 model is
something to be measured, never assumed; a model that is to be deployed is calibrated on data of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

SAMPLES = 8


def calibration_inputs(inputs: tuple[Tensor, ...], samples: int = SAMPLES, seed: int = 0) -> list[tuple[Tensor, ...]]:
    """`samples` inputs of the same shapes and types as the given ones; the same seed gives the same inputs.

    Floating tensors are normal with the mean and the standard deviation of the given tensor. Others (token numbers,
    positions, masks) are drawn from the values of the given tensor, so they are legal wherever those are.
    """
    import torch

    generator = torch.Generator().manual_seed(seed)

    def like(x: Tensor) -> Tensor:
        x = x.detach().cpu()
        if x.numel() == 0:
            return x.clone()
        if x.is_floating_point():
            noise = torch.randn(x.shape, generator=generator)
            spread, mean = torch.std_mean(x.float(), correction=0)
            return (mean + spread * noise).to(x.dtype)
        chosen = torch.randint(x.numel(), x.shape, generator=generator)
        return x.flatten()[chosen]

    return [tuple(like(x) for x in inputs) for _ in range(samples)]
