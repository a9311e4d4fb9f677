"""ExecuTorch on the CPU, with XNNPACK."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hardware.errors import HardwareError
from hardware.runtimes.base import KernelTime, Runner
from hardware.runtimes.conversion import ConvertingRuntime
from hardware.runtimes.executorch_program import PACKAGES, ExecuTorchProgram
from hardware.runtimes.quiet import silent_stderr

if TYPE_CHECKING:
    from torch import Tensor, nn


class ExecuTorchRuntime(ConvertingRuntime):
    """ExecuTorch, its XNNPACK delegate and, for what that does not take, its portable and optimised kernels.

    The files are those that run on phones and boards; here the Python binding runs them. In int8, inputs and outputs
    stay fp32.
    """

    name = "executorch"
    precisions = ("fp32", "int8")
    packages = PACKAGES
    batch = 4  # conversions do not share work: small, so that the processes end together

    def options(self) -> dict[str, Any]:
        """What decides the latency."""
        return {"delegate": "xnnpack", "copies_outputs": True}

    def convert(self, module: nn.Module, inputs: tuple[Tensor, ...]) -> bytes:
        """See `export_executorch`; 1 s to 2 s for an operator, 5 s to 10 s for a network, in int8 twice that."""
        from hardware.runtimes.executorch_export import export_executorch

        return export_executorch(module, inputs, self.precision)

    def load(self, model: bytes, inputs: tuple[Tensor, ...]) -> Runner:
        """See `ConvertingRuntime.load`; the output is a torch tensor of its own, or a tuple of them."""
        import torch

        program = ExecuTorchProgram(model, self.threads)
        given = tuple(x.detach().clone(memory_format=torch.contiguous_format) for x in inputs)
        try:
            with silent_stderr():
                program(*given)
        except RuntimeError as error:
            raise HardwareError(f"ExecuTorch refuses the inputs: {error}") from error
        return _Runner(program, given, model)

    def profile(self, module: nn.Module, inputs: tuple[Tensor, ...], runs: int = 50) -> list[KernelTime]:
        """See `Runtime.profile` and `profile_program`."""
        from hardware.runtimes.executorch_inspect import profile_program

        self.require()
        return profile_program(self.convert(module, inputs), inputs, self.threads, runs)

    def memory_bytes(self, module: nn.Module, inputs: tuple[Tensor, ...]) -> int:
        """See `Runtime.memory_bytes` and `planned_bytes`; exact, but for what XNNPACK allocates for itself."""
        from hardware.runtimes.executorch_inspect import planned_bytes

        self.require()
        return planned_bytes(self.convert(module, inputs))


class _Runner:
    """A program with its inputs."""

    def __init__(self, program: ExecuTorchProgram, given: tuple[Tensor, ...], model: bytes) -> None:
        self._program, self._given, self._model = program, given, model
        self._memory: int | None = None

    def __call__(self) -> object:
        return self._program(*self._given)

    def memory_bytes(self) -> int:
        """See `planned_bytes`; the program is read once, however often it is timed."""
        if self._memory is None:
            from hardware.runtimes.executorch_inspect import planned_bytes

            self._memory = planned_bytes(self._model)
        return self._memory
