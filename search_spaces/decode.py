"""Decoding token by token as a plain module: one step of an operator or of a whole network, its state outside."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from search_spaces.build import check_spec
from search_spaces.errors import SpaceError
from search_spaces.operators import Operator
from search_spaces.operators.layers import SequenceResidual
from search_spaces.spec import OperatorSpec
from search_spaces.supernet import Network


class DecodeStep(nn.Module):
    """One token and the state before it -> the output and the state after it: ``(x, *state) -> (y, *state)``.

    Args:
        module: an operator of `search_spaces.build_operator`, or a `Network`, over sequences.

    Raises:
        SpaceError: an operator in it cannot decode.
    """

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.parts = nn.ModuleList(module.children() if isinstance(module, Network) else [module])
        self.wiring = module.wiring if isinstance(module, Network) else [("", "")]
        self.tensors = [len(_initial_state(part, 1, 1)) for part in self.parts]

    def initial_state(self, batch: int, context: int) -> tuple[Tensor, ...]:
        """The state before the first of at most ``context`` tokens."""
        return tuple(tensor for part in self.parts for tensor in _initial_state(part, batch, context))

    def forward(self, x: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        after: list[Tensor] = []
        values: dict[str, Tensor] = {}  # as in `Network`
        for part, tensors, (source, target) in zip(self.parts, self.tensors, self.wiring, strict=True):
            x = values[source] if source else x
            if _has_state(part):
                x, *new = part.decode(x, *state[:tensors])  # type: ignore[operator]
                state = state[tensors:]
                after += new
            else:
                x = part(x.unsqueeze(1)).squeeze(1)
            if target:
                x = values[target] = values[target] + x if target in values else x
        return x, *after


def _has_state(module: nn.Module) -> bool:
    """Whether an operator, in its shell or bare, has a decoding form; without one it must treat every token by itself."""
    operator = module.op if isinstance(module, SequenceResidual) else module
    assert isinstance(operator, Operator)
    if type(operator).decode is not Operator.decode:
        return True
    if operator.domain == "sequence" and operator.role == "channel_mixer":
        return False
    raise SpaceError(f"operator {operator.name!r}: cannot decode token by token")


def _initial_state(module: nn.Module, batch: int, context: int) -> tuple[Tensor, ...]:
    return tuple(module.initial_state(batch, context)) if _has_state(module) else ()  # type: ignore[operator]


def state_size(spec: OperatorSpec) -> int:
    """Values that an operator keeps between two decoding steps for one sequence of ``spec.shape[0]`` tokens."""
    operator = check_spec(spec)
    if operator.decode is Operator.decode:
        return 0
    return operator.state_size(spec.shape[0], **dict(spec.sizes))


def takes_ids(operator: type[Operator]) -> bool:
    """Whether an operator's input is a row of token numbers: stems of sequences."""
    return operator.domain == "sequence" and operator.role == "stem"


def example_inputs(spec: OperatorSpec, batch: int, seed: int | None = None) -> tuple[Tensor, ...]:
    """A random input of an operator, or of a network that begins with it: normal values, or tokens for an embedding;
    from torch's own generator without a ``seed``."""
    generator = None if seed is None else torch.Generator().manual_seed(seed)
    if takes_ids(check_spec(spec)):
        return (torch.randint(dict(spec.sizes)["vocab"], (batch, *spec.shape), generator=generator),)
    return (torch.randn(batch, *spec.shape, generator=generator),)


def decode_inputs(spec: OperatorSpec, step: DecodeStep, batch: int) -> tuple[Tensor, ...]:
    """A random token of an operator over ``spec.shape[0]`` tokens, or of a network that begins with it, and the state
    before the first token."""
    (x,) = example_inputs(spec, batch)
    return x[:, 0].contiguous(), *step.initial_state(batch, spec.shape[0])
