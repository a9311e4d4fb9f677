"""How work on a CUDA GPU is timed, and under which settings it is computed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager


class CudaRunner:
    """A call that runs once and waits, with `elapsed` for runs queued one after another.

    launch: starts one run on the current stream and returns its output, which may still be computed.
    minimum_calls: fewest runs between a pair of events, whose resolution is about 0.5 us.
    """

    minimum_calls = 10

    def __init__(self, launch: Callable[[], object]) -> None:
        import torch

        self._torch = torch
        self._launch = launch
        self._start = torch.cuda.Event(enable_timing=True)
        self._end = torch.cuda.Event(enable_timing=True)

    def __call__(self) -> object:
        """Run once, wait for the GPU, return the output (a tensor on the GPU)."""
        with exact_arithmetic():
            output = self._launch()
        self._torch.cuda.synchronize()
        return output

    def elapsed(self, calls: int) -> float:
        """Seconds on the GPU for `calls` runs enqueued one after another."""
        self._torch.cuda.synchronize()
        with exact_arithmetic():  # once for all runs: it takes as long as several kernels
            self._start.record()
            for _ in range(calls):
                self._launch()
            self._end.record()
        self._end.synchronize()
        return self._start.elapsed_time(self._end) / 1e3


@contextmanager
def exact_arithmetic() -> Iterator[None]:
    """Inference mode, no TF32, cuDNN free to choose. Scoped, so that training in this process keeps its own settings."""
    import torch

    precision = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        with torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, benchmark=True, allow_tf32=False):
            yield
    finally:
        torch.set_float32_matmul_precision(precision)
