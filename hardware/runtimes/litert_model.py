"""A LiteRT model in this process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hardware.errors import HardwareError
from hardware.runtimes.base import Runner
from hardware.runtimes.quiet import silent_stderr

if TYPE_CHECKING:
    from torch import Tensor


def load_litert(model: bytes, inputs: tuple[Tensor, ...], threads: int = 1) -> Runner:
    """A call of a model (the bytes of a .tflite file) on these inputs.

    Its output is a NumPy array of its own, integers as int32. Raises HardwareError where LiteRT refuses the model.
    """
    from hardware.python_agent.engines import RefusedModel, litert_call

    try:
        with silent_stderr():
            return litert_call(model, [tensor.detach().cpu().numpy() for tensor in inputs], threads)
    except RefusedModel as error:
        raise HardwareError(str(error)) from error
