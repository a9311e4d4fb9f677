"""ONNX Runtime on the CPU."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from hardware.errors import HardwareError
from hardware.runtimes.base import Item, Runner
from hardware.runtimes.conversion import Converted, ConvertingRuntime

if TYPE_CHECKING:
    from torch import Tensor, nn


class OnnxRuntime(ConvertingRuntime):
    """ONNX Runtime, CPU provider, all graph optimisations; input and output buffers are bound beforehand."""

    name = "onnxruntime"
    packages = ("onnxruntime", "onnx", "onnxscript")
    batch = 16  # beyond this the exporter's cost a module no longer falls

    def options(self) -> dict[str, Any]:
        """Session options that decide the latency."""
        return {"graph_optimization": "all", "execution": "sequential", "io_binding": True, "spin_after_run": False}

    @staticmethod
    def convert(module: nn.Module, inputs: tuple[Tensor, ...], precision: str = "fp32") -> bytes:
        """See `export_onnx`; 0.6 s."""
        from hardware.runtimes.onnx_export import export_onnx

        return export_onnx(module, inputs)

    @classmethod
    def convert_batch(cls, items: list[Item], precision: str = "fp32") -> Converted:
        """See `export_onnx_many`."""
        from hardware.runtimes.onnx_export import export_onnx_many

        results: Converted = []
        for part in _by_size(items):
            try:
                models = export_onnx_many([(module, inputs) for _, module, inputs in part])
            except HardwareError:
                results += super().convert_batch(part, precision)  # one bad module spoils them all: find it
                continue
            results += [(key, model) for (key, _, _), model in zip(part, models, strict=True)]
        return results

    def load(self, model: bytes, inputs: tuple[Tensor, ...]) -> Runner:
        """See `ConvertingRuntime.load`; static shapes. The output is a NumPy array, overwritten by the next call."""
        import numpy as np
        import onnxruntime as ort

        options = ort.SessionOptions()
        options.intra_op_num_threads = self.threads
        options.inter_op_num_threads = 1
        options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
        options.log_severity_level = 3
        # Hundreds of sessions live side by side: one that keeps spinning after its run would slow the next candidate.
        options.add_session_config_entry("session.force_spinning_stop", "1")
        try:
            session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        except Exception as error:
            raise HardwareError(f"ONNX Runtime refuses the model: {error}") from error
        if len(session.get_inputs()) != len(inputs):
            raise HardwareError(f"the model has {len(session.get_inputs())} inputs, {len(inputs)} were given")
        binding = session.io_binding()
        given = [np.ascontiguousarray(tensor.detach().cpu().numpy()) for tensor in inputs]
        for node, array in zip(session.get_inputs(), given, strict=True):
            binding.bind_input(node.name, "cpu", 0, array.dtype, array.shape, array.ctypes.data)
        # A first plain run tells the outputs' shapes and types; their buffers are then ours, written in place.
        names = {node.name: array for node, array in zip(session.get_inputs(), given, strict=True)}
        outputs = [np.empty_like(np.asarray(value)) for value in session.run(None, names)]
        for node, array in zip(session.get_outputs(), outputs, strict=True):
            binding.bind_output(node.name, "cpu", 0, array.dtype, array.shape, array.ctypes.data)
        result: object = outputs[0] if len(outputs) == 1 else tuple(outputs)

        def run(given: list[Any] = given) -> object:  # holds the input buffers alive: the binding only has addresses
            session.run_with_iobinding(binding)
            return result

        return run


def _by_size(items: list[Item], most: int = 250) -> Iterator[list[Item]]:
    """The items in parts of at most ``most`` modules and sub-modules each (or of one item): the exporter's rewriting grows
    faster than its graph, so that sixteen operators go well together and no more than two networks of twenty layers."""
    part: list[Item] = []
    size = 0
    for item in items:
        count = sum(1 for _ in item[1].modules())
        if part and size + count > most:
            yield part
            part, size = [], 0
        part, size = [*part, item], size + count
    if part:
        yield part
