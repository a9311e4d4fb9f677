"""A module as an ExecuTorch program (the bytes of a .pte file): what XNNPACK can run goes to it, the rest to portable kernels.

One conversion takes 1 s to 2 s for an operator and 5 s to 10 s for a network of a few hundred nodes: ExecuTorch traces the
graph anew in each of its passes, and 17 times more for every part that goes to XNNPACK. Its checks take 5 % of that.
"""

from __future__ import annotations

import re
from collections import Counter
from contextlib import redirect_stderr
from dataclasses import dataclass
from io import StringIO
from typing import TYPE_CHECKING, Any

from hardware.errors import HardwareError
from hardware.runtimes.base import deployed
from hardware.runtimes.conversion import check_module, first_line, require_packages
from hardware.runtimes.executorch_program import NOISY, PACKAGES, bindings
from hardware.runtimes.executorch_quantize import quantize_for_xnnpack
from hardware.runtimes.quiet import quiet
from hardware.timing import no_garbage_collection

if TYPE_CHECKING:
    from torch import Tensor, nn


def export_executorch(module: nn.Module, inputs: tuple[Tensor, ...], precision: str = "fp32") -> bytes:
    """Convert a module, which is put in eval mode, for inputs of these shapes and types; in int8, see `quantize_for_xnnpack`.

    The program's method is "forward"; its inputs are contiguous. The same module and weights give the same bytes; no
    source paths are inside. Raises HardwareError when the module fails, cannot be exported or lowered, or needs an
    operator for which ExecuTorch has no kernel (the message names it), and when ExecuTorch is not installed.
    """
    import torch

    require_packages("executorch", PACKAGES)
    name = type(module).__name__
    given = tuple(x.detach().clone(memory_format=torch.contiguous_format) for x in inputs)
    module = deployed(module)
    check_module(module, given)
    with quiet(*NOISY), redirect_stderr(StringIO()), no_garbage_collection(), torch.no_grad():
        from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
        from executorch.exir import to_edge_transform_and_lower

        # a conversion makes millions of small objects; the collector's walks over them are a fifth of its time
        try:
            if precision == "int8":
                module = quantize_for_xnnpack(module, given)
            exported = torch.export.export(module, given)
            program = to_edge_transform_and_lower(exported, partitioner=[XnnpackPartitioner()]).to_executorch()
            data = bytes(program.buffer)
        except Exception as error:
            raise HardwareError(f"{name} cannot be converted to ExecuTorch: {_reason(error)}") from error
    missing = sorted(set(_operators(program.executorch_program)) - set(bindings()._get_operator_names()))
    if missing:
        raise HardwareError(f"{name} cannot run in ExecuTorch: no kernel for {', '.join(missing)}")
    return data


@dataclass(frozen=True)
class Delegation:
    """Where a program runs. delegates: calls of XNNPACK; portable: operator -> calls of ExecuTorch's own kernels."""

    delegates: int
    portable: dict[str, int]


def delegation(model: bytes) -> Delegation:
    """What of a program (the bytes of a .pte file) goes to XNNPACK and what does not, in calls a run."""
    with quiet(*NOISY):
        from executorch.exir._serialize._program import deserialize_pte_binary
        from executorch.exir.schema import DelegateCall, KernelCall

        program = deserialize_pte_binary(model).program
    names = _operators(program)
    calls = [instruction.instr_args for chain in program.execution_plan[0].chains for instruction in chain.instructions]
    portable = Counter(names[call.op_index] for call in calls if isinstance(call, KernelCall))
    return Delegation(sum(isinstance(call, DelegateCall) for call in calls), dict(sorted(portable.items())))


def _operators(program: Any) -> list[str]:
    operators = program.execution_plan[0].operators
    return [f"{operator.name}.{operator.overload}" if operator.overload else operator.name for operator in operators]


def _reason(error: Exception) -> str:
    refused = re.search(r"Operator torch\._ops\.(\S+) is not in Core ATen", str(error))
    return f"operator {refused[1]} is not in the core ATen set" if refused else first_line(error)
