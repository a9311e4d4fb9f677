"""What an ExecuTorch program says of itself: where its time goes, and the memory it has planned."""

from __future__ import annotations

from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from hardware.errors import HardwareError
from hardware.runtimes.base import KernelTime
from hardware.runtimes.executorch_program import NOISY, bindings, threads_of_pool
from hardware.runtimes.quiet import quiet, silent_stderr

if TYPE_CHECKING:
    from torch import Tensor

PORTABLE = "native_call_"  # how the events of ExecuTorch's own kernels begin


def profile_program(model: bytes, inputs: tuple[Tensor, ...], threads: int, runs: int) -> list[KernelTime]:
    """Where the time of one run of a program (the bytes of a .pte file) goes, in kernels, longest first.

    The kinds are "xnnpack", in whole microseconds, and "portable". A call of the delegate costs more than its kernels: what
    it does around them is in neither. The first run is left out. Raises HardwareError when ExecuTorch refuses the inputs.
    """
    import torch

    given = tuple(x.detach().clone(memory_format=torch.contiguous_format) for x in inputs)
    with TemporaryDirectory() as folder:
        path = str(Path(folder) / "etdump")
        with silent_stderr():
            threads_of_pool(threads)
            program = bindings()._load_for_executorch_from_buffer(model, enable_etdump=True)
            try:
                for _ in range(runs + 1):
                    program.run_method("forward", given)
            except RuntimeError as error:
                raise HardwareError(f"ExecuTorch refuses the inputs: {error}") from error
            program.write_etdump_result_to_file(path)
        events = _events(path)
    return sorted(
        (KernelTime(name, kind, sum(times[1:]) / runs) for name, kind, times in events), key=lambda kernel: -kernel.ms
    )


def planned_bytes(model: bytes) -> int:
    """Bytes that a program (of a .pte file) has planned for what it computes, its inputs and outputs included.

    What a delegate allocates for itself while it runs is not planned, and so not in it.
    """
    with quiet(*NOISY):
        from executorch.exir._serialize._program import deserialize_pte_binary

        program = deserialize_pte_binary(model).program
    return int(sum(program.execution_plan[0].non_const_buffer_sizes))


def _events(path: str) -> list[tuple[str, str, list[Any]]]:
    """(name, kind, ms of every run) of every kernel in an ETDump file, calls and other spans around kernels left out."""
    with quiet(*NOISY), redirect_stderr(StringIO()):
        from executorch.devtools import Inspector

        blocks = Inspector(etdump_path=path).event_blocks
    found = []
    for event in (event for block in blocks for event in block.events if event.perf_data is not None):
        if event.is_delegated_op:
            found.append((event.name, "xnnpack", event.perf_data.raw))
        elif event.name.startswith(PORTABLE):
            found.append((event.name.removeprefix(PORTABLE), "portable", event.perf_data.raw))
    return found
