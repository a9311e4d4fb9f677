"""An ONNX model as an OpenVINO model in int8: NNCF's post-training quantisation, with ranges from `calibration_inputs`.

It is for speed: the ranges come from random inputs, and the error of the result is measured, never assumed.
"""

from __future__ import annotations

import struct
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from hardware.errors import HardwareError
from hardware.runtimes.calibration import calibration_inputs
from hardware.runtimes.conversion import first_line
from hardware.runtimes.openvino_package import nncf, openvino
from hardware.runtimes.quiet import quiet

if TYPE_CHECKING:
    from torch import Tensor

_LENGTH = struct.Struct("<Q")


def quantize_openvino(model: bytes, inputs: tuple[Tensor, ...]) -> bytes:
    """The model with int8 weights, one scale an output channel, and int8 activations, as `pack` packs it.

    Weights are symmetric and activations asymmetric (NNCF's "mixed" preset, for activations other than ReLU). A model with
    nothing to quantise comes back in floating point. Raises HardwareError when NNCF fails.
    """
    samples = [[x.numpy() for x in sample] for sample in calibration_inputs(inputs)]
    try:
        with quiet("nncf"), redirect_stdout(StringIO()), redirect_stderr(StringIO()):  # progress bars
            quantizer = nncf()
            ranges = quantizer.quantization.range_estimator.RangeEstimatorParametersSet
            quantized = quantizer.quantize(
                openvino().Core().read_model(model),
                quantizer.Dataset(samples),
                preset=quantizer.QuantizationPreset.MIXED,
                subset_size=len(samples),
                advanced_parameters=quantizer.AdvancedQuantizationParameters(
                    # Takes most of the time, fails for biases of more than one value a channel, and speeds up nothing.
                    disable_bias_correction=True,
                    # The whole range seen; by itself NNCF takes the samples' mean one and cuts off what is beyond.
                    activations_range_estimator_params=ranges.MINMAX,
                ),
            )
    except Exception as error:
        raise HardwareError(f"the model cannot be quantised for OpenVINO: {first_line(error)}") from error
    return pack(quantized)


def pack(model: Any) -> bytes:
    """An OpenVINO model as bytes: the length of its description, the description (XML), the weights."""
    with TemporaryDirectory() as folder:
        description, weights = Path(folder) / "model.xml", Path(folder) / "model.bin"
        openvino().serialize(model, description, weights)
        text = description.read_bytes()
        return _LENGTH.pack(len(text)) + text + weights.read_bytes()


def unpack(packed: bytes) -> Any:
    """The OpenVINO model that `pack` packed."""
    import numpy as np

    (length,) = _LENGTH.unpack_from(packed)
    text, weights = packed[_LENGTH.size : _LENGTH.size + length], packed[_LENGTH.size + length :]
    package = openvino()
    values = package.Tensor(np.frombuffer(weights, np.uint8).copy())
    return package.Core().read_model(text, values)
