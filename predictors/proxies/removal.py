"""The proxy removal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from predictors.proxies.registry import register
from predictors.proxies.subject import Subject, Undefined
from search_spaces import Network
from search_spaces.operators.layers import Residual, SequenceResidual

MOST = 8  # inputs: every block takes a pass of its own


@register("removal")
def removal(subject: Subject) -> float:
    """Removal sensitivity: how much the output changes when one block is left out, relative to its size, mean over the blocks
    (blocks left out one by one as in Veit et al. 2016, arXiv 1605.06431; here before training).

    ``mean over blocks b of |f(x) - f_b(x)| / |f(x)|``, Euclidean norms over the first 8 inputs, batch norm with the statistics
    of each pass. Of a `Network`, blocks are the operators that keep the shape of what they get: in a chain their input goes
    on in place of their output (so residual links stay), between two points of a cell nothing is added. Of other networks,
    they are the residual shells in it.
    """
    values = subject.values()[:MOST]
    with torch.no_grad():
        whole = subject.run(values)
        size = float(whole.double().norm())
        changes = []
        for block, left_out in _blocks(subject.network):
            kept: list[bool] = []

            def instead(
                module: nn.Module,
                args: tuple[Any, ...],
                out: Tensor,
                left_out: Callable[[Tensor], Tensor] = left_out,
                kept: list[bool] = kept,
            ) -> Tensor | None:
                kept.append(args[0].shape == out.shape and args[0].is_floating_point())
                return left_out(args[0]) if kept[-1] else None

            hook = block.register_forward_hook(instead)
            changed = subject.run(values)
            hook.remove()
            if kept and all(kept):
                changes.append(float((whole - changed).double().norm()))
    if not changes:
        raise Undefined("no block keeps its shape, so none can be left out")
    if size == 0:
        raise Undefined("the output is zero")
    return sum(changes) / len(changes) / size


def _blocks(network: nn.Module) -> list[tuple[nn.Module, Callable[[Tensor], Tensor]]]:
    """What may be left out, and what stands there instead."""
    if not isinstance(network, Network):
        return [(module, _passed_on) for module in network.modules() if isinstance(module, Residual | SequenceResidual)]
    edges = zip(network, network.wiring, strict=True)
    return [(module, torch.zeros_like if source and target else _passed_on) for module, (source, target) in edges]


def _passed_on(x: Tensor) -> Tensor:
    return x
