"""A converted model as a call, in ONNX Runtime or LiteRT: the same code on this machine and on devices."""

from __future__ import annotations

import re
from typing import Any, Callable, Sequence  # noqa: UP035  Python 3.8 on devices

import numpy as np

Call = Callable[[], Any]  # runs the model once; gives its outputs, an array or a tuple of them


class RefusedModel(ValueError):
    """The runtime cannot run the model; the message says what it says."""


def onnxruntime_call(model: Any, given: Sequence[np.ndarray], threads: int) -> Call:
    """A call of an ONNX model (bytes or path) on these inputs; the outputs are overwritten by the next call."""
    return bind(onnx_session(model, threads), given)


def onnx_session(model: Any, threads: int, profile: str | None = None) -> Any:
    """An ``InferenceSession`` with the settings that all measurements have. profile: where the profile is to be written."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = 4  # what fails comes as an exception too
    # Hundreds of sessions live side by side: one that keeps spinning after its run would slow the next candidate.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    if profile is not None:
        options.enable_profiling = True
        options.profile_file_prefix = profile
    try:
        return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise RefusedModel(f"ONNX Runtime refuses the model: {error}") from error


def bind(session: Any, given: Sequence[np.ndarray]) -> Call:
    """A call of a session whose input and output buffers are bound beforehand."""
    nodes = session.get_inputs()
    if len(nodes) != len(given):
        raise RefusedModel(f"the model has {len(nodes)} inputs, {len(given)} were given")
    names = {node.name: np.ascontiguousarray(array) for node, array in zip(nodes, given)}  # noqa: B905  Python 3.8
    binding = session.io_binding()
    for name, array in names.items():
        binding.bind_input(name, "cpu", 0, array.dtype, array.shape, array.ctypes.data)
    # A first plain run tells the outputs' shapes and types; their buffers are then ours, written in place.
    try:
        outputs = [np.empty_like(np.asarray(value)) for value in session.run(None, names)]
    except Exception as error:
        raise RefusedModel(f"ONNX Runtime refuses the inputs: {error}") from error
    for node, array in zip(session.get_outputs(), outputs):  # noqa: B905  Python 3.8
        binding.bind_output(node.name, "cpu", 0, array.dtype, array.shape, array.ctypes.data)
    result: Any = outputs[0] if len(outputs) == 1 else tuple(outputs)

    def run(held: Any = names) -> Any:  # holds the input buffers alive: the binding only has addresses
        session.run_with_iobinding(binding)
        return result

    return run


def litert_call(model: Any, given: Sequence[np.ndarray], threads: int) -> Call:
    """A call of a LiteRT model (bytes or path) on these inputs; the outputs are copies, integers as int32."""
    from ai_edge_litert.interpreter import Interpreter

    source = {"model_content": model} if isinstance(model, bytes) else {"model_path": model}
    try:
        interpreter = Interpreter(num_threads=threads, **source)
        interpreter.allocate_tensors()
    except (RuntimeError, ValueError) as error:
        raise RefusedModel(f"LiteRT refuses the model: {_first_line(error)}") from error
    wanted, outputs = _tensors(interpreter)
    if len(wanted) != len(given):
        raise RefusedModel(f"the model has {len(wanted)} inputs, {len(given)} were given")
    try:
        for (index, kind), array in zip(wanted, given):  # noqa: B905  Python 3.8
            interpreter.set_tensor(index, array.astype(kind))
        interpreter.invoke()
    except (RuntimeError, ValueError) as error:
        raise RefusedModel(f"LiteRT refuses the inputs: {_first_line(error)}") from error

    def run() -> Any:
        interpreter.invoke()
        results = [interpreter.get_tensor(index) for index, _ in outputs]
        return results[0] if len(results) == 1 else tuple(results)

    return run


# engine -> (the package that it is, its call)
ENGINES: dict[str, tuple[str, Callable[[Any, Sequence[np.ndarray], int], Call]]] = {
    "onnxruntime": ("onnxruntime", onnxruntime_call),
    "litert": ("ai-edge-litert", litert_call),
}


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


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
