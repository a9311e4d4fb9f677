"""Runtimes by name. A new one is a file with a `Runtime` class, registered below or with `register_runtime`."""

from __future__ import annotations

from hardware.errors import HardwareError
from hardware.runtimes.base import Runtime
from hardware.runtimes.cache import ConversionCache
from hardware.runtimes.cuda import CudaRuntime
from hardware.runtimes.cuda_compile import CudaCompileRuntime
from hardware.runtimes.cuda_graph import CudaCompileGraphRuntime, CudaGraphRuntime
from hardware.runtimes.executorch import ExecuTorchRuntime
from hardware.runtimes.executorch_export import Delegation, delegation, export_executorch
from hardware.runtimes.litert import LiteRtRuntime
from hardware.runtimes.ncnn import NcnnRuntime
from hardware.runtimes.onnx_export import export_onnx, export_onnx_many
from hardware.runtimes.onnxruntime import OnnxRuntime
from hardware.runtimes.openvino import OpenVinoRuntime
from hardware.runtimes.torch_compile import TorchCompileRuntime
from hardware.runtimes.torch_eager import TorchRuntime

_REGISTRY: dict[str, type[Runtime]] = {}


def register_runtime(runtime: type[Runtime]) -> type[Runtime]:
    """Make a Runtime class known by its `name`; usable as a decorator. Raises HardwareError if the name is taken."""
    taken = _REGISTRY.get(runtime.name)
    if taken is not None and taken is not runtime:
        raise HardwareError(f"runtime name {runtime.name!r} is already registered by {taken.__qualname__}")
    _REGISTRY[runtime.name] = runtime
    return runtime


def runtime_names() -> tuple[str, ...]:
    """All registered names, sorted, whether or not they are available here."""
    return tuple(sorted(_REGISTRY))


def runtime_precisions(name: str) -> tuple[str, ...]:
    """The number formats of the runtime of that name."""
    return _REGISTRY[name].precisions


def get_runtime(name: str, precision: str = "fp32", threads: int = 1) -> Runtime:
    """The runtime of that name. Raises HardwareError naming the legal names, precisions or threads.

    It is not checked that the runtime is installed: see `Runtime.availability` and `Runtime.require`.
    """
    if name not in _REGISTRY:
        raise HardwareError(f"runtime must be one of {', '.join(runtime_names())}, got {name!r}")
    return _REGISTRY[name](precision, threads)


for _runtime in (
    TorchRuntime,
    OnnxRuntime,
    ExecuTorchRuntime,
    CudaRuntime,
    LiteRtRuntime,
    NcnnRuntime,
    OpenVinoRuntime,
    TorchCompileRuntime,
    CudaCompileRuntime,
    CudaGraphRuntime,
    CudaCompileGraphRuntime,
):
    register_runtime(_runtime)

__all__ = [
    "ConversionCache",
    "Delegation",
    "Runtime",
    "delegation",
    "export_executorch",
    "export_onnx",
    "export_onnx_many",
    "get_runtime",
    "register_runtime",
    "runtime_names",
    "runtime_precisions",
]
