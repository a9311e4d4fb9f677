"""torch, eager mode, on the CPU."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hardware.errors import HardwareError
from hardware.runtimes.base import KernelTime, Runner, Runtime, deployed
from hardware.runtimes.conversion import check_module, first_line
from hardware.runtimes.precision import in_precision

if TYPE_CHECKING:
    from torch import Tensor, nn


class TorchRuntime(Runtime):
    """Eager torch in inference mode. Inputs keep the memory format in which they are given (channels_last or not).

    In bf16 a copy of the module and its inputs are cast beforehand; the output is bf16 as the network gives it.
    """

    name = "torch"
    precisions = ("fp32", "bf16")

    def availability(self) -> tuple[bool, str]:
        """(True, version), or the pip command."""
        try:
            import torch
        except ImportError:
            return False, "torch is not installed; pip install torch"
        return True, torch.__version__

    def versions(self) -> dict[str, str]:
        """torch's version."""
        import torch

        return {"torch": torch.__version__}

    def prepare(self, module: nn.Module, inputs: tuple[Tensor, ...]) -> Runner:
        """See `Runtime.prepare`; the output is the module's own."""
        import torch

        self.require()
        if self.precision == "fp32":
            module = deployed(module)
        else:
            module, inputs = in_precision(module, inputs, self.precision)
            check_module(module, inputs)  # not every operator has a kernel in every precision
        threads = self.threads

        def run() -> object:
            # Set and put back (0.2 us) around every call, because training in the same process has its own number.
            before = torch.get_num_threads()
            torch.set_num_threads(threads)
            try:
                with torch.inference_mode():
                    return module(*inputs)
            finally:
                torch.set_num_threads(before)

        return run

    def profile(self, module: nn.Module, inputs: tuple[Tensor, ...], runs: int = 50) -> list[KernelTime]:
        """See `Runtime.profile`: processor time of each operator itself, what it calls left out, by torch.profiler.

        One row an operator and shapes of its inputs: calls that have both in common are added up.
        """
        from torch.profiler import ProfilerActivity, profile

        run = self.prepare(module, inputs)
        try:
            run()
        except Exception as error:
            raise HardwareError(f"{type(module).__name__} fails on its inputs: {first_line(error)}") from error
        with profile(activities=[ProfilerActivity.CPU], record_shapes=True) as recorded:
            for _ in range(runs):
                run()
        rows = [
            KernelTime(_label(event.key, event.input_shapes), event.key.removeprefix("aten::"), ms)
            for event in recorded.key_averages(group_by_input_shape=True)
            if (ms := event.self_cpu_time_total / 1e3 / runs) > 0
        ]
        return sorted(rows, key=lambda row: row.ms, reverse=True)


def _label(operator: str, shapes: list[list[int]]) -> str:
    """ "aten::addmm 5 1x3 3x5": the operator and the shapes of its tensors."""
    return " ".join([operator, *("x".join(map(str, shape)) for shape in shapes if shape)])
