"""What a proxy looks at: a network's copy, a batch, and the ways of running it that several proxies share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from search_spaces import Architecture


class Undefined(Exception):
    """A network has no such number; the message says why."""


@dataclass(frozen=True)
class Subject:
    """One network and one batch.

    Attributes:
        network: the proxy's own copy, in training mode (batch norm sees the batch, as running averages of an untrained
            network say nothing), all parameters with gradients.
        inputs: ``(N, C, H, W)`` images, or ``(N, L)`` token numbers.
        labels: ``(N,)``, or ``(N, L)`` with one a token; None where there are none.
        architecture: of the network, where it is known.
    """

    network: nn.Module
    inputs: Tensor
    labels: Tensor | None = None
    architecture: Architecture | None = None

    def loss(self, part: slice = slice(None)) -> Tensor:
        """Mean cross entropy over ``part`` of the batch; of sequences with one label a token, over the tokens."""
        assert self.labels is not None
        labels = self.labels[part].flatten()
        return F.cross_entropy(self.network(self.inputs[part]).flatten(0, -2), labels)

    def gradients(self, part: slice = slice(None)) -> dict[str, Tensor]:
        """Gradient of the loss by each of the `weights`, by name."""
        found = weights(self.network)
        slopes = torch.autograd.grad(self.loss(part), list(found.values()), allow_unused=True)
        pairs = zip(found.items(), slopes, strict=True)
        return {name: torch.zeros_like(weight) if slope is None else slope for (name, weight), slope in pairs}

    def values(self) -> Tensor:
        """What the network maps smoothly: the images themselves, or the vectors ``(N, L, dim)`` of the tokens."""
        if self.inputs.is_floating_point():
            return self.inputs
        seen: list[Tensor] = []
        with torch.no_grad(), _Embedding(None, seen):
            self.network(self.inputs)
        if not seen:
            raise Undefined("the inputs are whole numbers and no embedding reads them")
        return seen[0]

    def run(self, values: Tensor) -> Tensor:
        """The network's output from `values`, or from others of that shape (of any number of inputs)."""
        if self.inputs.is_floating_point():
            return self.network(values)  # type: ignore[no-any-return]
        with _Embedding(values, []):
            return self.network(self.inputs[: len(values)])  # type: ignore[no-any-return]


class _Embedding(TorchFunctionMode):
    """Keeps what the first look-up in a table gives, and puts other ``values`` in its place if there are any."""

    def __init__(self, values: Tensor | None, seen: list[Tensor]) -> None:
        super().__init__()
        self._values, self._seen = values, seen

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if func is not F.embedding or self._seen:
            return out
        self._seen.append(out)
        return out if self._values is None else self._values


def weights(network: nn.Module) -> dict[str, nn.Parameter]:
    """The parameters that map values to values: matrices and kernels, by name.

    Biases, norms and scales, which have one number a channel, are none.
    """
    return {name: p for name, p in network.named_parameters() if p.ndim > 1 and p[0].numel() > 1}
