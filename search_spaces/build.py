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
from search_spaces.operators.layers import Residual, SequenceResidual
from search_spaces.spec import OperatorSpec


@dataclass(frozen=True, slots=True)
class Cost:
    """What one input costs: multiply-accumulates, parameters, and values written by convolutions and matrix products."""

    macs: int
    parameters: int
    activations: int


def has_shell(operator: type[Operator]) -> bool:
    """Whether ``operator`` stands in a pre-norm residual shell: mixers and channel mixers do, unless they say otherwise."""
    return operator.role in ("mixer", "channel_mixer") and operator.shell


def build_operator(spec: OperatorSpec) -> nn.Module:
    """A plain module with its own weights, mixers inside their residual shell. ``(B, *spec.shape)`` in.

    Raises:
        SpaceError: see `check_spec`.
    """
    operator = check_spec(spec)
    sizes = dict(spec.sizes)
    return _in_shell(operator(**sizes), sizes.get("dim", 0))


def _in_shell(module: Operator, dim: int) -> nn.Module:
    if not has_shell(type(module)):
        return module
    if module.domain == "sequence":
        return SequenceResidual(module, dim)
    return Residual(module, dim, module.prenorm)


def check_spec(spec: OperatorSpec) -> type[Operator]:
    """The operator class of ``spec``, after its sizes and input shape were checked; no weight is made.

    Raises:
        SpaceError: the operator is unknown, its sizes are not the ones its constructor takes, or the operator refuses
            these sizes or this shape. The message names the size and the legal values.
    """
    operator = get_operator(spec.name)
    sizes = dict(spec.sizes)
    wanted = size_names(spec.name)
    if sizes.keys() != set(wanted):
        raise SpaceError(f"operator {spec.name!r}: sizes {sorted(sizes)}; legal: {sorted(wanted)}")
    if any(value < 0 for value in sizes.values()) or not all(spec.shape):
        raise SpaceError(f"operator {spec.canonical}: sizes and shape must not be negative or empty")
    operator.check(spec.shape, **sizes)
    return operator


@cache
def size_names(name: str) -> tuple[str, ...]:
    """The sizes that the constructor of operator ``name`` takes, in its order."""
    return tuple(size for size in inspect.signature(get_operator(name).__init__).parameters if size != "self")


@cache
def operator_layout(name: str) -> Mapping[str, str]:
    """Parameter or buffer name -> layout for the module that `build_operator` gives."""
    operator = get_operator(name)
    if not has_shell(operator):
        return operator.layout
    inner = {f"op.{name}": layout for name, layout in operator.layout.items()}
    if operator.domain == "sequence":
        return {"norm.weight": "dim", "scale": "dim", **inner}
    norm = {"layer": ("weight", "bias"), "batch": ("weight", "bias", "running_mean", "running_var")}
    return {**{f"norm.{part}": "dim" for part in norm[operator.prenorm]}, "scale": "dim 1 1", **inner}


def operator_axes(spec: OperatorSpec) -> dict[str, int]:
    """Axis name -> length for the layouts of ``spec``."""
    return get_operator(spec.name).axes(**dict(spec.sizes))


@cache
def _parameters(name: str, sizes: tuple[tuple[str, int], ...]) -> int:
    with torch.device("meta"):
        operator = get_operator(name)(**dict(sizes))
        module = _in_shell(operator, dict(sizes).get("dim", 0))
    return sum(parameter.numel() for parameter in module.parameters())


def cost(spec: OperatorSpec) -> Cost:
    """MACs, parameters and activations of one operator for one input, from its formulas."""
    macs, activations = _work(spec)
    return Cost(macs, _parameters(spec.name, spec.sizes), activations)


def macs(spec: OperatorSpec) -> int:
    """The MACs of `cost` alone: no module is made, which for all specs of a large space takes minutes."""
    return _work(spec)[0]


def _work(spec: OperatorSpec) -> tuple[int, int]:
    operator = get_operator(spec.name)
    extent = spec.shape[1:] if operator.domain == "image" else spec.shape[:1]
    return operator.work(*extent, **dict(spec.sizes))
