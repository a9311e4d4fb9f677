"""ncnn on the CPU."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hardware.runtimes.base import Runner
from hardware.runtimes.conversion import ConvertingRuntime
from hardware.runtimes.ncnn_model import PACKAGES, load_ncnn

if TYPE_CHECKING:
    from torch import Tensor, nn


class NcnnRuntime(ConvertingRuntime):
    """ncnn, one image or sequence at a time; every layer is fp32, convolutions may be Winograd's.

    Only fp32: on x86 CPUs ncnn takes its fp16 settings and computes in fp32 all the same.
    """

    name = "ncnn"
    packages = PACKAGES
    batch = 4  # conversions do not share work: small, so that the processes end together

    def options(self) -> dict[str, Any]:
        """What decides the latency."""
        return {"fp16": False, "bf16": False, "vulkan": False, "winograd": True, "packing": True, "light_mode": True}

    def convert(self, module: nn.Module, inputs: tuple[Tensor, ...]) -> bytes:
        """See `export_ncnn`; 1 s."""
        from hardware.runtimes.ncnn_export import export_ncnn

        return export_ncnn(module, inputs)

    def load(self, model: bytes, inputs: tuple[Tensor, ...]) -> Runner:
        """See `ConvertingRuntime.load` and `load_ncnn`."""
        return load_ncnn(model, inputs, self.threads)
