"""From an `OperatorSpec` to the plain module that computes it, its layout and its cost."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import torch
from torch import nn

from search_spaces.errors import SpaceError
from search_spaces.operators import Operator, get_operator
from search_spaces.operators.layers import Residual
from search_spaces.spec import OperatorSpec


@dataclass(frozen=True, slots=True)
class Cost:
    """What one input costs: multiply-accumulates, parameters, and values written by convolutions and matrix products."""

    macs: int
    parameters: int
    activations: int


def has_shell(operator: type[Operator]) -> bool:
    """Whether ``operator`` stands in a pre-norm residual shell: mixers do, except the identity (which has no parameter)."""
    return operator.role in ("mixer", "channel_mixer") and bool(operator.layout)


def build_operator(spec: OperatorSpec) -> nn.Module:
    """A plain module with its own weights, mixers inside their residual shell. ``(B, *spec.shape)`` in.

    Raises:
        SpaceError: the operator is unknown, or its sizes are not the ones its constructor takes.
    """
    operator = get_operator(spec.name)
    sizes = dict(spec.sizes)
    wanted = set(inspect.signature(operator.__init__).parameters) - {"self"}
    if set(sizes) != wanted:
        raise SpaceError(f"operator {spec.name!r}: sizes {sorted(sizes)}; legal: {sorted(wanted)}")
    if any(value < 0 for value in sizes.values()) or not all(spec.shape):
        raise SpaceError(f"operator {spec.canonical}: sizes and shape must not be negative or empty")
    module: nn.Module = operator(**sizes)
    return Residual(module, sizes["dim"], operator.prenorm) if has_shell(operator) else module


@cache
def operator_layout(name: str) -> Mapping[str, str]:
    """Parameter or buffer name -> layout for the module that `build_operator` gives."""
    operator = get_operator(name)
    if not has_shell(operator):
        return operator.layout
    norm = {"layer": ("weight", "bias"), "batch": ("weight", "bias", "running_mean", "running_var"), None: ()}
    shell = {f"norm.{part}": "dim" for part in norm[operator.prenorm]}
    return {**shell, "scale": "dim 1 1", **{f"op.{name}": layout for name, layout in operator.layout.items()}}


def operator_axes(spec: OperatorSpec) -> dict[str, int]:
    """Axis name -> length for the layouts of ``spec``."""
    return get_operator(spec.name).axes(**dict(spec.sizes))


@cache
def _parameters(name: str, sizes: tuple[tuple[str, int], ...]) -> int:
    with torch.device("meta"):
        module = build_operator(OperatorSpec(name, sizes, (1, 1, 1)))
    return sum(parameter.numel() for parameter in module.parameters())


def cost(spec: OperatorSpec) -> Cost:
    """MACs, parameters and activations of one operator for one input, from its formulas."""
    macs, activations = get_operator(spec.name).work(*spec.shape[1:], **dict(spec.sizes))
    return Cost(macs, _parameters(spec.name, spec.sizes), activations)
