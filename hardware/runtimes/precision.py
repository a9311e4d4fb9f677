"""The floating types that torch itself computes in, by the names that runtimes use."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

from hardware.runtimes.base import deployed

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn


def floating_type(precision: str) -> torch.dtype:
    """The torch type of "fp32", "bf16" or "fp16"."""
    import torch

    return {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[precision]


def in_precision(
    module: nn.Module, inputs: tuple[Tensor, ...], precision: str, device: str = "cpu"
) -> tuple[nn.Module, tuple[Tensor, ...]]:
    """A copy of the deployed module, and its inputs, in that precision on that device; the originals stay as they are.

    Floating parameters, buffers and inputs are cast. Integers, booleans and complex numbers keep their type
    (`nn.Module.to` would drop the imaginary parts). Outputs are whatever the module makes of that: they are not cast back,
    so that nothing but the network is timed.
    """
    kind = floating_type(precision)

    def cast(tensor: Tensor) -> Tensor:
        return tensor.to(device, kind if tensor.is_floating_point() else None)

    moved = copy.deepcopy(deployed(module))._apply(cast)
    return moved, tuple(cast(x.detach()) for x in inputs)
