"""ONNX Runtime on the CPU."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from hardware.errors import HardwareError
from hardware.runtimes.base import Item, Runner, Runtime, unique_items
from hardware.runtimes.conversion import convert_to_onnx

if TYPE_CHECKING:
    from torch import Tensor, nn

PACKAGES = ("onnxruntime", "onnx", "onnxscript")


class OnnxRuntime(Runtime):
    """ONNX Runtime, CPU provider, all graph optimisations; input and output buffers are bound beforehand."""

    name = "onnxruntime"

    def availability(self) -> tuple[bool, str]:
        """(True, version), or the pip command that installs what is missing."""
        missing = [name for name in (*PACKAGES, "torch") if _version(name) is None]
        if missing:
            return False, f"{', '.join(missing)} not installed; pip install {' '.join(missing)}"
        return True, str(_version("onnxruntime"))

    def versions(self) -> dict[str, str]:
        """ONNX Runtime, and the exporter's packages, which shape the graph."""
        found = {name: _version(name) for name in (*PACKAGES, "torch")}
        return {name: text for name, text in found.items() if text is not None}

    def options(self) -> dict[str, Any]:
        """Session options that decide the latency."""
        return {"graph_optimization": "all", "execution": "sequential", "io_binding": True, "spin_after_run": False}

    def prepare(self, module: nn.Module, inputs: tuple[Tensor, ...]) -> Runner:
        """See `Runtime.prepare`; the output is a NumPy array, overwritten by the next call. Exports first (0.6 s)."""
        from hardware.runtimes.onnx_export import export_onnx

        self.require()
        return self.load(export_onnx(module, inputs), inputs)

    def prepare_many(
        self, items: Iterable[Item], workers: int = 1, progress: Callable[[int, int], None] | None = None
    ) -> dict[str, Runner]:
        """See `Runtime.prepare_many`; exports in batches of 16, in processes if workers > 1."""
        self.require()
        unique = unique_items(items)
        runners: dict[str, Runner] = {}
        for key, model in convert_to_onnx(list(unique.values()), workers):
            runners[key] = self.load(model, unique[key][2])
            if progress is not None:
                progress(len(runners), len(unique))
        return {key: runners[key] for key in unique}

    def load(self, model: bytes, inputs: tuple[Tensor, ...]) -> Runner:
        """A runner for an ONNX model (static shapes) on these inputs. Raises HardwareError when ORT refuses it."""
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


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
