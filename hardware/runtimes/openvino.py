"""OpenVINO on the CPU."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from hardware.errors import HardwareError
from hardware.runtimes.base import KernelTime, Runner
from hardware.runtimes.onnx_converting import OnnxConvertingRuntime

if TYPE_CHECKING:
    from torch import Tensor, nn

HINTS = {"fp32": "f32", "bf16": "bf16", "int8": "f32"}  # of int8, what is not quantised


class OpenVinoRuntime(OnnxConvertingRuntime):
    """OpenVINO, CPU device, from ONNX; input and output buffers are bound beforehand.

    The precision is always set: by itself OpenVINO computes in bfloat16 wherever the CPU can. In bf16 and int8, inputs and
    outputs stay fp32.
    """

    name = "openvino"
    precisions = ("fp32", "bf16", "int8")
    packages: ClassVar[tuple[str, ...]] = ("openvino", "nncf", "onnx", "onnxscript")

    def availability(self) -> tuple[bool, str]:
        """See `ConvertingRuntime.availability`; in bf16, the CPU must have instructions for it."""
        usable, text = super().availability()
        if usable and self.precision == "bf16":
            from hardware.runtimes.openvino_package import openvino

            if "BF16" not in openvino().Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
                return False, "this CPU has no bfloat16 instructions; use fp32 or int8"
        return usable, text

    def options(self) -> dict[str, Any]:
        """What decides the latency."""
        return {"device": "CPU", "inference_precision": HINTS[self.precision], "streams": 1, "pinning": False}

    def finish(self, model: bytes, inputs: tuple[Tensor, ...]) -> bytes:
        """The ONNX model itself; in int8, see `quantize_openvino`."""
        if self.precision != "int8":
            return model
        from hardware.runtimes.openvino_quantize import quantize_openvino

        return quantize_openvino(model, inputs)

    def load(self, model: bytes, inputs: tuple[Tensor, ...]) -> Runner:
        """See `ConvertingRuntime.load`; static shapes. The output is a NumPy array, overwritten by the next call."""
        return self._bind(self._compile(model), inputs)[0]

    def profile(self, module: nn.Module, inputs: tuple[Tensor, ...], runs: int = 50) -> list[KernelTime]:
        """See `Runtime.profile`; OpenVINO counts in whole microseconds. The first run is left out."""
        self.require()
        compiled = self._compile(self.convert(module, inputs), PERF_COUNT=True)
        run, request = self._bind(compiled, inputs)
        run()
        first = [_microseconds(node) for node in request.profiling_info]
        for _ in range(runs):
            run()
        # Each figure is the mean of all runs so far.
        found = [
            KernelTime(
                node.node_name, node.node_type, max(0.0, (_microseconds(node) * (runs + 1) - before) / runs) / 1e3
            )
            for node, before in zip(request.profiling_info, first, strict=True)
            if str(node.status) == "Status.EXECUTED"
        ]
        return sorted(found, key=lambda kernel: -kernel.ms)

    def _compile(self, model: bytes, **more: Any) -> Any:
        from hardware.runtimes.openvino_package import openvino
        from hardware.runtimes.openvino_quantize import unpack

        core = openvino().Core()
        settings = {
            "INFERENCE_PRECISION_HINT": HINTS[self.precision],
            "INFERENCE_NUM_THREADS": self.threads,
            "NUM_STREAMS": 1,
            "ENABLE_CPU_PINNING": False,  # on which cores it runs is for the measurement to say
            **more,
        }
        try:
            read = unpack(model) if self.precision == "int8" else core.read_model(model)
            return core.compile_model(read, "CPU", settings)
        except RuntimeError as error:
            raise HardwareError(f"OpenVINO refuses the model: {_reason(error)}") from error

    def _bind(self, compiled: Any, inputs: tuple[Tensor, ...]) -> tuple[Runner, Any]:
        """A runner, and the request behind it."""
        import numpy as np

        from hardware.runtimes.openvino_package import openvino

        if len(compiled.inputs) != len(inputs):
            raise HardwareError(f"the model has {len(compiled.inputs)} inputs, {len(inputs)} were given")
        shared = openvino().Tensor
        request = compiled.create_infer_request()
        given = [np.ascontiguousarray(tensor.detach().cpu().numpy()) for tensor in inputs]
        outputs = [np.empty(tuple(port.shape), port.element_type.to_dtype()) for port in compiled.outputs]
        try:
            for place, array in enumerate(given):
                request.set_input_tensor(place, shared(array, shared_memory=True))
            for place, array in enumerate(outputs):
                request.set_output_tensor(place, shared(array, shared_memory=True))
            request.infer(share_outputs=True)
        except RuntimeError as error:
            raise HardwareError(f"OpenVINO refuses the inputs: {_reason(error)}") from error
        result: object = outputs[0] if len(outputs) == 1 else tuple(outputs)

        def run(given: list[Any] = given) -> object:  # holds the input buffers alive
            request.infer(share_outputs=True)  # without it, the outputs would be copied once more
            return result

        return run, request


def _microseconds(node: Any) -> float:
    return float(node.real_time.total_seconds() * 1e6)


def _reason(error: RuntimeError) -> str:
    """The operators that are missing or cannot be converted; or the last line that is not about OpenVINO's own sources."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    for start in ("-- No conversion rule found for operations", "-- Conversion is failed for"):
        for line in lines:
            if line.startswith(start):
                return line.removeprefix("-- ")
    told = [line for line in lines if not line.startswith(("Exception from", "Check '"))]
    return told[-1] if told else str(error)
