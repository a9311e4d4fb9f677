"""A module in int8 for ExecuTorch's XNNPACK delegate, with ranges from `calibration_inputs`.

It is for speed: the ranges come from random inputs, and the error of the result is measured, never assumed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hardware.runtimes.calibration import calibration_inputs

if TYPE_CHECKING:
    from torch import Tensor, nn


def quantize_for_xnnpack(module: nn.Module, inputs: tuple[Tensor, ...]) -> nn.Module:
    """The module, traced, with int8 weights (one scale an output channel) and int8 activations where XNNPACK has int8
    kernels (convolutions, linear layers, sums, products, some pooling); all the rest stays in floating point.

    What has nothing to quantise comes back in floating point. Raises whatever torch.export and torchao raise.
    """
    import torch
    from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import (
        XNNPACKQuantizer,
        get_symmetric_quantization_config,
    )
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

    quantizer = XNNPACKQuantizer().set_global(get_symmetric_quantization_config(is_per_channel=True))
    prepared = prepare_pt2e(torch.export.export(module, inputs).module(), quantizer)
    for sample in calibration_inputs(inputs):
        prepared(*sample)
    quantized: nn.Module = convert_pt2e(prepared)
    return quantized
