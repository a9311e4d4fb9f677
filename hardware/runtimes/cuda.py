"""torch on a CUDA GPU: eager mode, and what all runtimes of the GPU share."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from hardware.errors import HardwareError
from hardware.runtimes.base import Runner, Runtime
from hardware.runtimes.conversion import first_line
from hardware.runtimes.cuda_timing import CudaRunner, exact_arithmetic
from hardware.runtimes.precision import in_precision

if TYPE_CHECKING:
    from torch import Tensor, nn


class CudaRuntime(Runtime):
    """Eager torch on the current GPU: cuDNN autotuning on, no CUDA graph, warm L2 cache; in fp32 true fp32 (no TF32).

    A prepared runner has two figures. `measure` uses the first:
    queued: CUDA events around many enqueued runs and one synchronise at the end (`elapsed`); the GPU stays fed.
    synchronised: the call itself waits for the GPU each time, so launch latency counts; pass `runner.__call__`.
    Transfers to and from the host are in neither: the inputs lie on the GPU beforehand. In bf16 and fp16 module and
    inputs are cast beforehand, and the output is what the network gives.
    """

    name = "cuda"
    precisions = ("fp32", "bf16", "fp16")

    def availability(self) -> tuple[bool, str]:
        """(True, version and GPU), or why not."""
        try:
            import torch
        except ImportError:
            return False, "torch is not installed; pip install torch"
        if torch.version.cuda is None:
            return False, f"torch {torch.__version__} was built without CUDA; install a CUDA build (see pytorch.org)"
        if not torch.cuda.is_available():
            return False, f"torch {torch.__version__} finds no CUDA device"
        return True, f"{torch.__version__} on {torch.cuda.get_device_name()}"

    def versions(self) -> dict[str, str]:
        """torch, and CUDA and cuDNN where torch has them."""
        import torch

        cudnn = torch.backends.cudnn.version() if torch.cuda.is_available() else None
        found = {"torch": torch.__version__, "cuda": torch.version.cuda, "cudnn": cudnn}
        return {name: str(version) for name, version in found.items() if version is not None}

    def options(self) -> dict[str, Any]:
        """What is timed and how."""
        return {
            "timing": "events around queued runs",
            "tf32": False,
            "cudnn_benchmark": True,
            "cuda_graph": False,
            "compiled": False,
        }

    def prepare(self, module: nn.Module, inputs: tuple[Tensor, ...]) -> Runner:
        """See `Runtime.prepare`; the caller's module stays where it is, a copy goes to the GPU."""
        self.require()
        return CudaRunner(self.launcher(self.call(module, inputs), type(module).__name__))

    def memory_bytes(self, module: nn.Module, inputs: tuple[Tensor, ...]) -> int:
        """Most bytes that torch's allocator held during one run, less those held before it: activations, output and work
        space, without the weights and inputs. For a CUDA graph those of the run that it captures."""
        import torch

        self.require()
        call = self.call(module, inputs)
        gc.collect()  # what is freed between the readings would count against the run
        torch.cuda.synchronize()
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        with exact_arithmetic():
            call()
        torch.cuda.synchronize()
        return torch.cuda.max_memory_allocated() - before

    def call(self, module: nn.Module, inputs: tuple[Tensor, ...]) -> Callable[[], object]:
        """A call that starts one run on the GPU, after its first run, in which cuDNN chooses and compilers compile.

        Raises HardwareError when that run fails.
        """
        import torch

        moved, given = in_precision(module, inputs, self.precision, "cuda")
        function = self.function(moved)
        try:
            with exact_arithmetic():
                function(*given)
            torch.cuda.synchronize()
        except Exception as error:
            name = type(module).__name__
            raise HardwareError(
                f"{name} cannot run by {self.name!r} in {self.precision}: {first_line(error)}"
            ) from error
        return lambda: function(*given)

    def function(self, module: nn.Module) -> Callable[..., object]:
        """What is called with the inputs: here the module itself."""
        return module

    def launcher(self, call: Callable[[], object], name: str) -> Callable[[], object]:
        """What is timed, made from that call: here the call itself. name: the module's, for errors."""
        return call
