"""torch, eager mode, on a CUDA GPU."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from hardware.runtimes.base import Runner, Runtime, deployed

if TYPE_CHECKING:
    from torch import Tensor, nn


class CudaRuntime(Runtime):
    """Eager torch on the current GPU: true fp32 (no TF32), cuDNN autotuning on, no CUDA graph, warm L2 cache.

    A prepared runner has two figures. `measure` uses the first:
    queued: CUDA events around many enqueued runs and one synchronise at the end (`elapsed`); the GPU stays fed.
    synchronised: the call itself waits for the GPU each time, so launch latency counts; pass `runner.__call__`.
    Transfers to and from the host are in neither: the inputs lie on the GPU beforehand.
    """

    name = "cuda"

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
        return {"timing": "events around queued runs", "tf32": False, "cudnn_benchmark": True, "cuda_graph": False}

    def prepare(self, module: nn.Module, inputs: tuple[Tensor, ...]) -> Runner:
        """See `Runtime.prepare`; the caller's module stays where it is, a copy goes to the GPU."""
        self.require()
        runner = _CudaRunner(copy.deepcopy(deployed(module)).cuda(), tuple(x.cuda() for x in inputs))
        runner()  # cuDNN chooses its algorithms in the first call
        return runner


class _CudaRunner:
    """See CudaRuntime. `minimum_calls`: fewest runs between a pair of events, whose resolution is about 0.5 us."""

    minimum_calls = 10

    def __init__(self, module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        import torch

        self._torch = torch
        self._module = module
        self._inputs = inputs
        self._start = torch.cuda.Event(enable_timing=True)
        self._end = torch.cuda.Event(enable_timing=True)

    def __call__(self) -> object:
        """Run once, wait for the GPU, return the output (a tensor on the GPU)."""
        output = self._enqueue(1)
        self._torch.cuda.synchronize()
        return output

    def elapsed(self, calls: int) -> float:
        """Seconds on the GPU for `calls` runs enqueued one after another."""
        self._torch.cuda.synchronize()
        self._start.record()
        self._enqueue(calls)
        self._end.record()
        self._end.synchronize()
        return self._start.elapsed_time(self._end) / 1e3

    def _enqueue(self, calls: int) -> object:
        torch = self._torch
        output: object = None
        # Scoped, so that training in this process keeps its own precision and cuDNN settings.
        precision = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision("highest")
        try:
            with torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, benchmark=True, allow_tf32=False):
                for _ in range(calls):
                    output = self._module(*self._inputs)
        finally:
            torch.set_float32_matmul_precision(precision)
        return output
