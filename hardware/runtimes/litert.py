"""LiteRT on the CPU, with XNNPACK."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from hardware.errors import HardwareError
from hardware.runtimes.base import Item, Runner
from hardware.runtimes.conversion import Converted, ConvertingRuntime, first_line
from hardware.runtimes.quiet import silent_stderr

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
        """See `ConvertingRuntime.load`; the output is a NumPy array of its own, integers as int32."""
        from ai_edge_litert.interpreter import Interpreter

        try:
            with silent_stderr():
                interpreter = Interpreter(model_content=model, num_threads=self.threads)
                interpreter.allocate_tensors()
        except (RuntimeError, ValueError) as error:
            raise HardwareError(f"LiteRT refuses the model: {first_line(error)}") from error
        given, outputs = _tensors(interpreter)
        if len(given) != len(inputs):
            raise HardwareError(f"the model has {len(given)} inputs, {len(inputs)} were given")
        try:
            for (index, kind), tensor in zip(given, inputs, strict=True):
                interpreter.set_tensor(index, tensor.detach().cpu().numpy().astype(kind))
            with silent_stderr():
                interpreter.invoke()
        except (RuntimeError, ValueError) as error:
            raise HardwareError(f"LiteRT refuses the inputs: {first_line(error)}") from error

        def run() -> object:
            interpreter.invoke()
            results = [interpreter.get_tensor(index) for index, _ in outputs]
            return results[0] if len(results) == 1 else tuple(results)

        return run


def _tensors(interpreter: Any) -> tuple[list[tuple[int, Any]], list[tuple[int, Any]]]:
    """(index, NumPy type) of the inputs and of the outputs, in the module's order: args_0, args_1 and so on."""
    # While a runner of the signature lives, the interpreter refuses to run.
    signature = interpreter.get_signature_runner()
    given, outputs = (
        [(details[name]["index"], details[name]["dtype"]) for name in sorted(details, key=_number)]
        for details in (signature.get_input_details(), signature.get_output_details())
    )
    return given, outputs


def _number(name: str) -> int:
    return int(re.sub(r"\D", "", name) or 0)
