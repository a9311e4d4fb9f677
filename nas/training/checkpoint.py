"""Training state as tensors plus a small JSON text: kept in memory, or in one safetensors file of a run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from nas.run import RunDirectory


class Store(Protocol):
    """Keeps the latest checkpoint."""

    def save(self, tensors: Mapping[str, Tensor], state: dict[str, Any]) -> None:
        """Replaces the checkpoint, or leaves the old one whole."""
        ...

    def load(self) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """The checkpoint, or ``None`` where there is none yet."""
        ...


class MemoryStore:
    """Keeps the checkpoint in memory: enough to roll back, not to resume."""

    def __init__(self) -> None:
        self._kept: tuple[dict[str, Tensor], str] | None = None

    def save(self, tensors: Mapping[str, Tensor], state: dict[str, Any]) -> None:
        self._kept = {name: tensor.detach().clone() for name, tensor in tensors.items()}, json.dumps(state)

    def load(self) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        return None if self._kept is None else (self._kept[0], json.loads(self._kept[1]))


class RunStore:
    """Keeps the checkpoint in a run directory: tensors and state land in one step."""

    def __init__(self, run: RunDirectory, name: str = "train/checkpoint.safetensors") -> None:
        self._run, self._name = run, name

    def save(self, tensors: Mapping[str, Tensor], state: dict[str, Any]) -> None:
        self._run.write_tensors(self._name, tensors, {"state": json.dumps(state)})

    def load(self) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        if not self._run.file(self._name).exists():
            return None
        tensors, metadata = self._run.read_tensors(self._name)
        return tensors, json.loads(metadata["state"])


def gather(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """All tensors of a training state: ``model.<name>`` and ``optimizer.<parameter>.<slot>``."""
    tensors = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    for name, parameter in model.named_parameters():
        for slot, tensor in optimizer.state.get(parameter, {}).items():
            tensors[f"optimizer.{name}/{slot}"] = tensor
    return tensors


def scatter(tensors: Mapping[str, Tensor], model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Puts the tensors of `gather` back, in place where the model has them."""
    model.load_state_dict({n.removeprefix("model."): t for n, t in tensors.items() if n.startswith("model.")})
    optimizer.state.clear()
    parameters = dict(model.named_parameters())
    for key, tensor in tensors.items():
        if key.startswith("optimizer."):
            name, _, slot = key.removeprefix("optimizer.").rpartition("/")
            parameter = parameters[name]
            optimizer.state[parameter][slot] = tensor.to(parameter.device, copy=True)
