"""Views and weight copies that the comparisons of attention mixers share."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn


def tokens(x: Tensor) -> Tensor:
    """``(B, C, H, W)`` -> ``(B, H*W, C)``."""
    return x.flatten(2).transpose(1, 2)


def image(y: Tensor, like: Tensor) -> Tensor:
    """``(B, H*W, C)`` -> ``(B, C, H, W)`` of the shape of ``like``."""
    return y.transpose(1, 2).reshape_as(like)


def parts(ours: nn.Module, *layers: str) -> dict[str, Tensor]:
    """``("query=q", "out=proj")`` -> the weights and biases of our layers under their names."""
    found: dict[str, Tensor] = {}
    for pair in layers:
        mine, _, name = pair.partition("=")
        for part, tensor in ours.get_submodule(mine).named_parameters():
            found[f"{name}.{part}"] = tensor
    return found


def copy(theirs: nn.Module, **ours: Tensor) -> Any:
    """Loads tensors by name (``__`` for a dot), all that there are; returns ``theirs`` in float64, ready to run."""
    theirs.double().load_state_dict({name.replace("__", "."): tensor for name, tensor in ours.items()})
    return theirs.eval()
