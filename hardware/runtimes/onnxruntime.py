"""ONNX Runtime on the CPU."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from hardware.errors import HardwareError
from hardware.runtimes.base import KernelTime, Runner
from hardware.runtimes.onnx_converting import OnnxConvertingRuntime

if TYPE_CHECKING:
    from torch import Tensor, nn


class OnnxRuntime(OnnxConvertingRuntime):
    """ONNX Runtime, CPU provider, all graph optimisations; input and output buffers are bound beforehand.

    In int8, inputs and outputs stay fp32.
    """

    name = "onnxruntime"
    precisions = ("fp32", "int8")
    packages = ("onnxruntime", "onnx", "onnxscript")

    def options(self) -> dict[str, Any]:
        """Session options that decide the latency."""
        fixed = {"graph_optimization": "all", "execution": "sequential", "io_binding": True, "spin_after_run": False}
        return {**fixed, "weight_bits": 7} if self.precision == "int8" else fixed

    def finish(self, model: bytes, inputs: tuple[Tensor, ...]) -> bytes:
        """The ONNX model itself; in int8, see `quantize_onnx`."""
        if self.precision != "int8":
            return model
        from hardware.runtimes.onnx_quantize import quantize_onnx

        return quantize_onnx(model, inputs)

    def load(self, model: bytes, inputs: tuple[Tensor, ...]) -> Runner:
        """See `ConvertingRuntime.load`; static shapes. The output is a NumPy array, overwritten by the next call."""
        return _bind(self._session(model), inputs)

    def profile(self, module: nn.Module, inputs: tuple[Tensor, ...], runs: int = 50) -> list[KernelTime]:
        """See `Runtime.profile`; ONNX Runtime counts in whole microseconds. The first run is left out."""
        self.require()
        model = self.convert(module, inputs)
        with TemporaryDirectory() as folder:
            session = self._session(model, profile=Path(folder) / "profile")
            run = _bind(session, inputs)
            for _ in range(runs):
                run()
            events = json.loads(Path(session.end_profiling()).read_bytes())
        return _kernels(events, runs)

    def _session(self, model: bytes, profile: Path | None = None) -> Any:
        from hardware.python_agent.engines import RefusedModel, onnx_session

        try:
            return onnx_session(model, self.threads, None if profile is None else str(profile))
        except RefusedModel as error:
            raise HardwareError(str(error)) from error


def _bind(session: Any, inputs: tuple[Tensor, ...]) -> Runner:
    from hardware.python_agent.engines import RefusedModel, bind

    try:
        return bind(session, [tensor.detach().cpu().numpy() for tensor in inputs])
    except RefusedModel as error:
        raise HardwareError(str(error)) from error


def _kernels(events: list[dict[str, Any]], runs: int) -> list[KernelTime]:
    """The mean times of the last `runs` runs in a profile, one a node, longest first."""
    begun = sorted(event["ts"] for event in events if event["name"] == "model_run")[-runs]
    total: dict[tuple[str, str], float] = {}
    for event in events:
        if event["cat"] == "Node" and event["name"].endswith("_kernel_time") and event["ts"] >= begun:
            node = (event["name"].removesuffix("_kernel_time"), event["args"]["op_name"])
            total[node] = total.get(node, 0.0) + event["dur"]
    found = [KernelTime(name, kind, microseconds / runs / 1e3) for (name, kind), microseconds in total.items()]
    return sorted(found, key=lambda kernel: -kernel.ms)
