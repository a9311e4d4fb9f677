"""LiteRT on the CPU, with XNNPACK."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hardware.errors import HardwareError
from hardware.runtimes.base import Item, Runner
from hardware.runtimes.conversion import Converted, ConvertingRuntime
from hardware.runtimes.litert_model import load_litert

if TYPE_CHECKING:
    from torch import Tensor, nn


class LiteRtRuntime(ConvertingRuntime):
    """LiteRT (the former TensorFlow Lite), its XNNPACK delegate and, for what that does not take, its own kernels.

    fp32; or int8 weights with activations quantized at run time, inputs and outputs fp32. Inputs are in place beforehand.
    """

    name = "litert"
    precisions = ("fp32", "int8")
    packages = ("ai-edge-litert",)
    batch = 16  # the converter's process takes as long to start as to convert four operators

    def options(self) -> dict[str, Any]:
        """What decides the latency."""
        return {"delegate": "xnnpack", "int8": "dynamic_wi8_afp32", "copies_outputs": True}

    def availability(self) -> tuple[bool, str]:
        """(True, version), or the command that installs what is missing: the runtime here, or its converter elsewhere."""
        from hardware.runtimes.litert_environment import converter_problem

        usable, reason = super().availability()
        problem = converter_problem() if usable else None
        return (usable, reason) if problem is None else (False, problem)

    def versions(self) -> dict[str, str]:
        """The runtime, torch, and the converter's packages in their own environment."""
        from hardware.runtimes.litert_environment import converter_versions

        return {**converter_versions(), **super().versions()}

    def convert(self, module: nn.Module, inputs: tuple[Tensor, ...]) -> bytes:
        """See `convert_litert`; 10 s alone, 2 s in a batch."""
        from hardware.runtimes.litert_convert import convert_litert

        [(_, model)] = convert_litert([("", module, inputs)], self.precision)
        if isinstance(model, HardwareError):
            raise model
        return model

    def convert_batch(self, items: list[Item]) -> Converted:
        """See `convert_litert`."""
        from hardware.runtimes.litert_convert import convert_litert

        return convert_litert(items, self.precision)

    def load(self, model: bytes, inputs: tuple[Tensor, ...]) -> Runner:
        """See `ConvertingRuntime.load` and `load_litert`."""
        return load_litert(model, inputs, self.threads)
