"""torch.compile on a CUDA GPU: TorchInductor's Triton kernels."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from hardware.runtimes.cuda import CudaRuntime

if TYPE_CHECKING:
    from torch import Tensor, nn


class CudaCompileRuntime(CudaRuntime):
    """`torch.compile` of the whole module for its one shape, in Inductor's default mode: launched kernel by kernel, after
    guards in Python. What cannot be compiled as one graph is refused. Compiling happens when it is prepared."""

    name = "cuda-compile"

    def availability(self) -> tuple[bool, str]:
        """See `CudaRuntime.availability`; Triton must be installed."""
        usable, reason = super().availability()
        if usable and find_spec("triton") is None:
            return False, "triton is not installed; pip install triton"
        return usable, reason

    def versions(self) -> dict[str, str]:
        """See `CudaRuntime.versions`; and Triton."""
        try:
            return {**super().versions(), "triton": version("triton")}
        except PackageNotFoundError:
            return super().versions()

    def options(self) -> dict[str, Any]:
        """See `CudaRuntime.options`."""
        return {**super().options(), "compiled": True, "fullgraph": True, "dynamic": False}

    def function(self, module: nn.Module) -> Callable[..., object]:
        """The compiled module."""
        return compiled(module)

    def call(self, module: nn.Module, inputs: tuple[Tensor, ...]) -> Callable[[], object]:
        """See `CudaRuntime.call`; the first run compiles."""
        with many_versions():
            return super().call(module, inputs)


def compiled(module: nn.Module, backend: str = "inductor") -> Callable[..., object]:
    """The module compiled as one graph for the shapes of its first call, which must be made under `many_versions`.

    Modules of one class share their code, and torch.compile gives up after eight versions of one code, which a table
    of operators soon has; so each module keeps its versions to itself.
    """
    import torch

    compile_module: Any = torch.compile  # its published overloads leave out `isolate_recompiles`
    whole: Callable[..., object] = compile_module(
        module, fullgraph=True, dynamic=False, isolate_recompiles=True, backend=backend
    )
    return whole


@contextmanager
def many_versions() -> Iterator[None]:
    """No limit to the versions of one code that all modules have together; torch's own is 256."""
    import torch

    with torch._dynamo.config.patch(accumulated_recompile_limit=2**31):
        yield
