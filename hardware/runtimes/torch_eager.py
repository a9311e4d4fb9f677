"""torch, eager mode, on the CPU."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hardware.runtimes.base import Runner, Runtime, deployed

if TYPE_CHECKING:
    from torch import Tensor, nn


class TorchRuntime(Runtime):
    """Eager torch in inference mode. Inputs keep the memory format in which they are given (channels_last or not)."""

    name = "torch"

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
        module = deployed(module)
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
