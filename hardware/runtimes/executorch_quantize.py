"""A module in int8 for ExecuTorch's XNNPACK delegate, with ranges from `calibration_inputs`.

It is for speed: the ranges come from random inputs, and the error of the result is measured, never assumed.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hardware.runtimes.calibration import calibration_inputs

if TYPE_CHECKING:
    from torch import Tensor, nn

SMALLEST_SCALE = 2**-12  # that of XNNPACK's quantiser


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
    from torchao.quantization.pt2e.observer import MinMaxObserver
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

    config = get_symmetric_quantization_config(is_per_channel=True)
    # The whole range seen; by itself XNNPACK's quantiser makes a histogram and cuts off what is rare.
    activation = replace(
        config.input_activation, observer_or_fake_quant_ctr=MinMaxObserver.with_args(eps=SMALLEST_SCALE)
    )
    quantizer = XNNPACKQuantizer().set_global(
        replace(config, input_activation=activation, output_activation=activation)
    )
    prepared = prepare_pt2e(torch.export.export(module, inputs).module(), quantizer)
    for sample in calibration_inputs(inputs):
        prepared(*sample)
    quantized: nn.Module = convert_pt2e(prepared)
    return quantized
