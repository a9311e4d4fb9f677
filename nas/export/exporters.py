"""One exporter a runtime: writes a module to a file, and gives a call that runs that file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

Run = Callable[..., tuple[Tensor, ...]]


def to_onnx(module: nn.Module, example: tuple[Tensor, ...], path: Path) -> Run:
    """An ONNX file, run by ONNX Runtime.

    Raises:
        HardwareError: the module cannot be exported.
    """
    from hardware.runtimes.onnx_export import export_onnx

    export_onnx(module, example, path)
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    names = [node.name for node in session.get_inputs()]

    def run(*inputs: Tensor) -> tuple[Tensor, ...]:
        given = dict(zip(names, [tensor.numpy() for tensor in inputs], strict=True))
        return tuple(torch.from_numpy(output) for output in session.run(None, given))

    return run


def to_executorch(module: nn.Module, example: tuple[Tensor, ...], path: Path) -> Run:
    """An ExecuTorch program, run by ExecuTorch.

    Raises:
        HardwareError: ExecuTorch is not installed, or the module cannot be converted.
    """
    from hardware.runtimes.executorch_export import export_executorch
    from hardware.runtimes.executorch_program import ExecuTorchProgram

    model = export_executorch(module, example)
    program = ExecuTorchProgram(model)
    path.write_bytes(model)

    def run(*inputs: Tensor) -> tuple[Tensor, ...]:
        outputs: Any = program(*inputs)
        return outputs if isinstance(outputs, tuple) else (outputs,)

    return run


EXPORTERS: dict[str, tuple[str, Callable[[nn.Module, tuple[Tensor, ...], Path], Run]]] = {
    "onnx": ("onnx", to_onnx),
    "executorch": ("pte", to_executorch),
}
"""Format -> suffix of its files, exporter."""
