"""The sizes and inputs at which an operator is examined."""

from __future__ import annotations

import torch
from torch import nn

from search_spaces import Choice, OperatorSpec, SearchSpace, Slot, SpaceError
from search_spaces.build import check_spec, size_names
from search_spaces.decode import takes_ids
from search_spaces.operators import Operator

# small; and not square, of no common divisor, and long enough that chunked scans take several chunks
EXTENTS = {"image": ((8, 8), (11, 7)), "sequence": ((16,), (71,))}
WIDTHS = (16, 32)


def elastic(operator: type[Operator]) -> dict[str, tuple[int, ...]]:
    """Every size of the constructor -> values to examine, ascending.

    Raises:
        SpaceError: ``elastic`` leaves out a size, names one that does not exist, or its values do not ascend.
    """
    wanted = size_names(operator.name)
    values = {"dim": WIDTHS, **operator.elastic} if "dim" in wanted else dict(operator.elastic)
    if set(values) != set(wanted):
        raise SpaceError(f"operator {operator.name!r}: elastic has {sorted(values)}; legal: {sorted(wanted)}")
    if operator.domain == "image" and (taken := {"height", "width"} & set(values)):
        raise SpaceError(f"operator {operator.name!r}: size {sorted(taken)[0]!r} is the image's; legal: another name")
    for name, offered in values.items():
        if not offered or list(offered) != sorted(set(offered)):
            raise SpaceError(f"operator {operator.name!r}: elastic {name}: got {offered}; legal: ascending values")
    return {name: tuple(values[name]) for name in wanted}


def input_shape(operator: type[Operator], extent: tuple[int, ...], sizes: dict[str, int]) -> tuple[int, ...]:
    """Shape of an input without the batch."""
    channels = next((sizes[name] for name in ("channels", "dim_in", "dim") if name in sizes), 1)
    if operator.domain == "image":
        return (channels, *extent)
    return extent if takes_ids(operator) else (*extent, channels)


def cases(operator: type[Operator], extent: tuple[int, ...] | None = None) -> list[OperatorSpec]:
    """The largest and the smallest sizes, and every other value of every size once. Combinations that ``check`` refuses
    are left out; the first two must not be.

    Raises:
        SpaceError: the operator refuses its own largest or smallest sizes.
    """
    values = elastic(operator)
    extent = EXTENTS[operator.domain][0] if extent is None else extent
    largest = {name: offered[-1] for name, offered in values.items()}
    smallest = {name: offered[0] for name, offered in values.items()}
    varied = [{**largest, name: value} for name, offered in values.items() for value in offered[:-1]]
    found = []
    for sizes in [largest, smallest, *varied]:
        spec = OperatorSpec.of(operator.name, input_shape(operator, extent, sizes), **sizes)
        try:
            check_spec(spec)
        except SpaceError:
            if sizes in (largest, smallest):
                raise
            continue
        found.append(spec)
    return list(dict.fromkeys(found))


def randomise(module: nn.Module, seed: int = 0) -> None:
    """Gives norms, scales and biases values that a mistake would show: none is trivially one or zero."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
            if name.endswith("running_var"):
                tensor.copy_(0.5 + torch.rand(tensor.shape, generator=generator))
            elif tensor.is_floating_point() and tensor.squeeze().ndim <= 1:
                tensor.add_(0.2 * torch.randn(tensor.shape, generator=generator).to(tensor.dtype))


def one_operator_space(operator: type[Operator], extent: tuple[int, ...]) -> SearchSpace:
    """A search space whose architectures are this operator at each of its sizes."""
    values = elastic(operator)
    choices = [Choice(name, offered) for name, offered in values.items()] or [Choice("only", (0,))]

    def spec(*chosen: int) -> OperatorSpec:
        sizes = dict(zip(values, chosen, strict=True))
        return OperatorSpec.of(operator.name, input_shape(operator, extent, sizes), **sizes)

    return SearchSpace(f"operator/{operator.name}", {}, choices, [Slot("operator", tuple(values), spec)])


def rows_of(space: SearchSpace, specs: list[OperatorSpec]) -> list[list[int]]:
    """Gene rows of ``specs`` in `one_operator_space`."""
    if space.choices[0].name == "only":
        return [[0]]
    return [[choice.values.index(dict(spec.sizes)[choice.name]) for choice in space.choices] for spec in specs]
