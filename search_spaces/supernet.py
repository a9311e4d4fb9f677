"""The weight-sharing supernet: the largest operators, and subnets that are slices of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from search_spaces.architecture import Architecture, Node
from search_spaces.build import build_operator, operator_axes, operator_layout
from search_spaces.errors import SpaceError
from search_spaces.layout import slice_view
from search_spaces.space import SearchSpace
from search_spaces.spec import OperatorSpec


def module_name(key: str) -> str:
    """Weight key -> attribute name: ``stage1.layer2.mhsa`` -> ``stage1_layer2_mhsa``."""
    return key.replace(".", "_")


class Network(nn.Sequential):
    """A plain network: the operators of one architecture in order, each fed by the one before it. ``(B, C, H, W)`` ->
    ``(B, classes)``.

    Args:
        nodes: the architecture's, with their modules.
    """

    def __init__(self, nodes: Iterable[tuple[Node, nn.Module]]) -> None:
        super().__init__()
        self.wiring: list[tuple[str, str]] = []
        for node, module in nodes:
            self.add_module(module_name(node.key), module)
            self.wiring.append((node.source, node.target))

    def forward(self, x: Tensor) -> Tensor:
        values: dict[str, Tensor] = {}  # what was added up at each named point so far
        for module, (source, target) in zip(self, self.wiring, strict=True):
            x = module(values[source] if source else x)
            if target:
                x = values[target] = values[target] + x if target in values else x
        return x


def build_network(architecture: Architecture) -> Network:
    """The network of ``architecture`` with freshly initialised weights of its own."""
    return Network((node, build_operator(node.spec)) for node in architecture.nodes)


class _BoundOperator:
    """A plain operator whose parameters are slices of a larger operator's parameters.

    Where a slice can be folded without a copy, the small parameter is a view of the large one and always current. Where
    it cannot (several grouped axes cut at once) it is a copy, refreshed before use. Either way the small parameters are
    leaves: their gradients are added to the large parameter's gradient, in place, as soon as autograd has them.
    """

    def __init__(self, owner: nn.Module, largest: OperatorSpec, spec: OperatorSpec) -> None:
        with torch.device("meta"):
            self.module = build_operator(spec)
        self._copies: list[tuple[Tensor, Tensor]] = []
        layouts, large, small = operator_layout(spec.name), operator_axes(largest), operator_axes(spec)
        tensors = {**dict(owner.named_parameters()), **dict(owner.named_buffers())}
        for name, leaf in [*self.module.named_parameters(), *self.module.named_buffers()]:
            path, _, attribute = name.rpartition(".")
            holder = self.module.get_submodule(path)
            if name not in layouts:
                setattr(holder, attribute, tensors[name])  # a counter or constant: shared whole
                continue
            full = tensors[name]

            def cut(tensor: Tensor, layout: str = layouts[name]) -> Tensor:
                return slice_view(tensor, layout, large, small)

            source = cut(full.detach())
            try:
                value = source.view(leaf.shape)
            except RuntimeError:  # not foldable as a view
                value = source.reshape(leaf.shape)
                self._copies.append((value, source.view_as(source)))
            if isinstance(leaf, nn.Parameter):
                parameter = nn.Parameter(value, requires_grad=full.requires_grad)
                if full.requires_grad:
                    parameter.register_post_accumulate_grad_hook(_add_to(full, cut))
                setattr(holder, attribute, parameter)
            else:
                setattr(holder, attribute, value)

    def refresh(self) -> None:
        """Makes the copied parameters current."""
        for value, source in self._copies:
            value.view(source.shape).copy_(source)


def _add_to(full: Tensor, cut: Callable[[Tensor], Tensor]) -> Callable[[Tensor], None]:
    def hook(leaf: Tensor) -> None:
        if leaf.grad is None:
            return
        if full.grad is None:
            full.grad = torch.zeros_like(full, memory_format=torch.contiguous_format)
        part = cut(full.grad)
        part.add_(leaf.grad.reshape(part.shape))
        leaf.grad = None

    return hook


class Supernet(nn.Module):
    """All weights of a search space, at their largest sizes.

    `subnet` gives any architecture as an ordinary `Network` whose parameters are slices of these; training it trains
    them. Because subnet and extracted network are the same module classes with the same numbers, they are equal.

    Args:
        space: the search space.
        seed: of the initial weights.
    """

    def __init__(self, space: SearchSpace, seed: int = 0) -> None:
        super().__init__()
        self.space = space
        self._largest = dict(largest_specs(space))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.operators = nn.ModuleDict({module_name(key): build_operator(s) for key, s in self._largest.items()})
        self._bound: dict[tuple[str, str, tuple[tuple[str, int], ...]], _BoundOperator] = {}

    def _apply(self, fn: Callable[..., Any], recurse: bool = True) -> Supernet:
        self._bound = {}  # moved weights: old slices would point to the old storage
        return super()._apply(fn, recurse)  # type: ignore[return-value]

    def _bind(self, node: Node) -> _BoundOperator:
        if node.key not in self._largest:
            raise SpaceError(
                f"supernet of {self.space.name}: no weights {node.key!r}; is it another space's architecture?"
            )
        identity = (node.key, node.spec.name, node.spec.sizes)
        if identity not in self._bound:
            owner = self.operators[module_name(node.key)]
            self._bound[identity] = _BoundOperator(owner, self._largest[node.key], node.spec)
        return self._bound[identity]

    def subnet(self, architecture: Architecture) -> Network:
        """``architecture`` as a network on slices of these weights; call it anew after each optimiser step.

        Its operators are shared with other subnets of the same sizes, so do not change them; `extract` gives a network of
        its own. Gradients of its parameters land in this supernet's parameters.
        """
        bound = [(node, self._bind(node)) for node in architecture.nodes]
        for _, operator in bound:
            operator.refresh()
        return Network((node, operator.module) for node, operator in bound).train(self.training)

    def extract(self, architecture: Architecture) -> Network:
        """``architecture`` as a network of its own, with contiguous copies of its weights."""
        network = build_network(architecture)
        network.load_state_dict(self.subnet(architecture).state_dict())
        return network.train(self.training)


def largest_specs(space: SearchSpace) -> Iterator[tuple[str, OperatorSpec]]:
    """For every weight key of ``space``, the spec with each size at the largest that any architecture uses."""
    sizes: dict[str, dict[str, int]] = {}
    first: dict[str, OperatorSpec] = {}
    for slot in space.slots:
        for spec in space.slot_specs(slot):
            known = first.setdefault(slot.key, spec)
            if known.name != spec.name:
                raise SpaceError(
                    f"slot {slot.key!r} holds both {known.name!r} and {spec.name!r}: give each a key of its own"
                )
            largest = sizes.setdefault(slot.key, {})
            for size, value in spec.sizes:
                largest[size] = max(value, largest.get(size, 0))
    for key, spec in first.items():
        yield key, OperatorSpec.of(spec.name, spec.shape, **sizes[key])
