"""An ONNX model in int8: ONNX Runtime's static quantisation, with ranges from `calibration_inputs`.

It is for speed: the ranges come from random inputs, and the error of the result is measured, never assumed.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from hardware.errors import HardwareError
from hardware.runtimes.calibration import calibration_inputs
from hardware.runtimes.conversion import first_line
from hardware.runtimes.quiet import quiet, silent_stderr

if TYPE_CHECKING:
    from torch import Tensor


def quantize_onnx(model: bytes, inputs: tuple[Tensor, ...]) -> bytes:
    """The model with int8 weights, one scale an output channel, and uint8 activations, as pairs of QuantizeLinear and
    DequantizeLinear that ONNX Runtime fuses with what is between them. Its inputs and outputs stay as they are.

    Weights have seven bits: x86 CPUs without VNNI add pairs of 8-bit products in 16 bits, which overflow and are cut off (see
    "reduce-range" in ONNX Runtime's guide to quantisation); whole networks were then wrong by a seventh to a half. All kinds of
    nodes that ONNX Runtime can quantise are quantised; a model without any comes back in floating point.
    Raises HardwareError when the quantiser fails.
    """
    import onnx
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    proto = onnx.load_from_string(model)
    names = [node.name for node in proto.graph.input]
    samples = [
        {name: x.numpy() for name, x in zip(names, sample, strict=True)} for sample in calibration_inputs(inputs)
    ]
    with TemporaryDirectory() as folder, _quiet_logging():
        given, prepared, quantized = (Path(folder) / f"{name}.onnx" for name in ("given", "prepared", "quantized"))
        given.write_bytes(model)  # a model in memory would go through external files, which not all graphs survive
        try:
            # Folds normalisations into convolutions; a quantised convolution could not take them in any more.
            quant_pre_process(given, prepared, skip_symbolic_shape=True)
            quantize_static(
                prepared,
                quantized,
                _reader(samples),
                nodes_to_exclude=_without_kernel(onnx.load(prepared)),
                quant_format=QuantFormat.QDQ,
                per_channel=True,
                reduce_range=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
            )
        except Exception as error:
            raise HardwareError(
                f"{proto.graph.name} cannot be quantised for ONNX Runtime: {first_line(error)}"
            ) from error
        return quantized.read_bytes()


def _without_kernel(model: Any) -> list[str]:
    """The names of the products with weights that are no matrix: there is no int8 kernel for one scale a channel of those."""
    rank = {weight.name: len(weight.dims) for weight in model.graph.initializer}
    return [node.name for node in model.graph.node if node.op_type == "MatMul" and rank.get(node.input[1], 2) != 2]


def _reader(samples: list[dict[str, Any]]) -> Any:
    from onnxruntime.quantization import CalibrationDataReader

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self._left = iter(samples)

        def get_next(self) -> dict[str, Any] | None:
            return next(self._left, None)

    return Reader()


@contextmanager
def _quiet_logging() -> Iterator[None]:
    """Silence the quantiser and its sessions.

    It logs to the root logger, which would be given a handler for good unless it had one.
    """
    handler = logging.NullHandler()
    root = logging.getLogger()
    root.addHandler(handler)
    try:
        with quiet("root"), silent_stderr():
            yield
    finally:
        root.removeHandler(handler)
