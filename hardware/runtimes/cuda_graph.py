"""CUDA graphs: all kernels of a run are recorded once and launched as one, so that the host's part is out of the latency."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from hardware.errors import HardwareError
from hardware.runtimes.conversion import first_line
from hardware.runtimes.cuda import CudaRuntime
from hardware.runtimes.cuda_compile import CudaCompileRuntime
from hardware.runtimes.cuda_timing import exact_arithmetic

WARM_UP_RUNS = 3  # on the side stream, as torch's notes on CUDA graphs ask: libraries set themselves up in them


class CudaGraphRuntime(CudaRuntime):
    """The eager module as a CUDA graph. The output is the graph's own memory, overwritten by the next run.

    A module that waits for the GPU in its forward pass (`item`, `nonzero`, a branch on a value) is refused.
    """

    name = "cuda-graph"

    def options(self) -> dict[str, Any]:
        """See `CudaRuntime.options`."""
        return {**super().options(), "cuda_graph": True}

    def launcher(self, call: Callable[[], object], name: str) -> Callable[[], object]:
        """A replay of the captured call."""
        return captured(call, name)


class CudaCompileGraphRuntime(CudaGraphRuntime, CudaCompileRuntime):
    """The compiled module as a CUDA graph, without the guards before it."""

    name = "cuda-compile-graph"


def captured(call: Callable[[], object], name: str) -> Callable[[], object]:
    """A call that replays the kernels of `call` on the current stream and returns the output of the capture.

    What `call` reads must stay where it is; the graph keeps the memory it uses. Raises HardwareError when it cannot be
    captured.
    """
    import torch

    graph = torch.cuda.CUDAGraph()
    try:
        with exact_arithmetic():
            side = torch.cuda.Stream()
            side.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(side):
                # A capture that breaks off leaves the allocator in its private pool: find what waits before it starts.
                with waiting_refused():
                    call()
                for _ in range(WARM_UP_RUNS - 1):
                    call()
            torch.cuda.current_stream().wait_stream(side)
            with torch.cuda.graph(graph):
                output = call()
    except Exception as error:
        raise HardwareError(f"{name} cannot be captured as a CUDA graph: {first_line(error)}") from error

    # `call` is held: it owns the module and the inputs, whose addresses are in the graph.
    def replay(keep: Callable[[], object] = call) -> object:
        graph.replay()
        return output

    return replay


@contextmanager
def waiting_refused() -> Iterator[None]:
    """RuntimeError in whatever makes the host wait for the GPU, as far as torch knows of it."""
    import torch

    before = torch.cuda.get_sync_debug_mode()
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode(before)
