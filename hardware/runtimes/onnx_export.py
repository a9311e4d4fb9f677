"""A module as ONNX bytes: eval mode, static shapes, weights inside, names "input" and "output", checked.

One call of torch's exporter costs 0.5 s before it has looked at the module (it builds its table of operators anew), so
`export_onnx_many` exports up to 16 modules side by side in one container and cuts the result apart: 0.15 s for a
small module; for one of hundreds of nodes the tracing itself costs more.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hardware.errors import HardwareError
from hardware.files import write_atomically
from hardware.runtimes.base import deployed
from hardware.runtimes.conversion import check_module, first_line
from hardware.runtimes.quiet import quiet
from hardware.timing import no_garbage_collection

if TYPE_CHECKING:
    import onnx
    import onnx_ir as ir
    from torch import Tensor, nn

OPSET = 20  # fixed, so that a newer exporter does not change the files by itself


def export_onnx(module: nn.Module, inputs: tuple[Tensor, ...], path: str | os.PathLike[str] | None = None) -> bytes:
    """Export a module, which is put in eval mode; also written to `path` (atomically) when one is given.

    The graph's input is called "input" ("input_0", "input_1" ... if there are several), its output "output" likewise.
    The same module and weights give the same bytes; no source paths are inside. Raises HardwareError when torch cannot
    export the module, when the ONNX checker refuses the result, or when an input does not reach the output.
    """
    data = export_onnx_many([(module, inputs)])[0]
    if path is not None:
        write_atomically(Path(path), data)
    return data


def export_onnx_many(modules: Sequence[tuple[nn.Module, tuple[Tensor, ...]]]) -> list[bytes]:
    """Export several (module, inputs) in one run of the exporter: as `export_onnx`, one result a module, in order."""
    import onnx

    if not modules:
        return []
    parts = [_Part(i, deployed(module), inputs) for i, (module, inputs) in enumerate(modules)]
    whole = _run_exporter(parts)
    # Cutting walks from the wanted outputs back to the inputs, so shared constants land in every part that needs them.
    extractor = onnx.utils.Extractor(whole)
    return [_finish(extractor.extract_model(part.input_names, part.output_names), part) for part in parts]


class _Part:
    """One module of the container, and the names of its tensors in the container's graph."""

    def __init__(self, index: int, module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        import torch

        self.module = module
        self.inputs = tuple(x.detach().clone() for x in inputs)  # one tensor given twice would become one graph input
        output: Any = check_module(module, self.inputs)
        self.single = isinstance(output, torch.Tensor)
        outputs = [output] if self.single else list(output)
        self.prefix = f"part{index}."  # of its weights in the container
        self.input_names = [f"part{index}_input{i}" for i in range(len(inputs))]
        self.output_names = [f"part{index}_output{i}" for i in range(len(outputs))]

    def public_names(self) -> dict[str, str]:
        """Name in the container -> name in the part's own file."""
        names = {}
        for word, own in (("input", self.input_names), ("output", self.output_names)):
            for i, name in enumerate(own):
                names[name] = word if len(own) == 1 else f"{word}_{i}"
        return names


def _run_exporter(parts: list[_Part]) -> onnx.ModelProto:
    import torch
    from torch import nn

    class SideBySide(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            for i, part in enumerate(parts):
                self.add_module(f"part{i}", part.module)

        def forward(self, *flat: Any) -> tuple[Any, ...]:
            outputs: list[Any] = []
            for part in parts:
                mine, flat = flat[: len(part.inputs)], flat[len(part.inputs) :]
                output = part.module(*mine)
                outputs.extend([output] if part.single else output)
            return tuple(outputs)

    names = ", ".join(dict.fromkeys(type(part.module).__name__ for part in parts))
    try:
        with quiet("torch.onnx", "onnxscript"), no_garbage_collection():  # a third of the time on large graphs
            program = torch.onnx.export(
                SideBySide().eval(),
                tuple(x for part in parts for x in part.inputs),
                dynamo=True,
                verbose=False,
                opset_version=OPSET,
                input_names=[name for part in parts for name in part.input_names],
                output_names=[name for part in parts for name in part.output_names],
            )
    except Exception as error:
        raise HardwareError(f"{names} cannot be exported to ONNX: {first_line(error)}") from error
    assert program is not None  # torch returns None only for the old exporter
    return program.model_proto


def _finish(proto: onnx.ModelProto, part: _Part) -> bytes:
    """Give the part its public names, strip where it came from, check it, and serialise it."""
    import onnx
    import onnx_ir as ir

    model = ir.from_proto(proto)
    public = part.public_names()
    for value in (*model.graph.inputs, *model.graph.outputs):
        value.name = public[value.name or ""]
    _rename_weights(model.graph, part.prefix)
    model.graph.name = type(part.module).__name__
    model.producer_name = "pytorch"
    model.metadata_props.clear()
    model.graph.metadata_props.clear()
    for node in model.graph.all_nodes():
        node.metadata_props.clear()  # stack traces with the paths of the machine that exported
        node.doc_string = None
        for output in node.outputs:
            output.metadata_props.clear()
    result = ir.to_proto(model)
    used = {name for node in result.graph.node for name in node.input}
    for graph_input in result.graph.input:
        if graph_input.name not in used:
            raise HardwareError(f"{type(part.module).__name__}: {graph_input.name!r} does not reach the output")
    try:
        onnx.checker.check_model(result, full_check=True)
    except Exception as error:
        raise HardwareError(f"{type(part.module).__name__}: not a valid ONNX graph: {first_line(error)}") from error
    return result.SerializeToString(deterministic=True)


def _rename_weights(graph: ir.Graph, prefix: str) -> None:
    """Take the container's prefix off the weights' names.

    The exporter merges equal constants, so a part may hold a weight under the name of another part (the ones of a
    normalisation, say); where the name without that prefix is taken, it gets a number.
    """
    weights = sorted(graph.initializers.values(), key=lambda value: not (value.name or "").startswith(prefix))
    for value in weights:
        plain = name = re.sub(r"^part\d+\.", "", value.name or "")
        if name == value.name:
            continue
        count = 1
        while name in graph.initializers:
            name, count = f"{plain}_{count}", count + 1
        value.name = name
