"""Proxies that are costs: parameters and multiply-accumulates."""

from __future__ import annotations

import torch
from torch.utils.flop_counter import FlopCounterMode

from predictors.proxies.registry import register
from predictors.proxies.subject import Subject
from search_spaces import cost


@register("params")
def params(subject: Subject) -> float:
    """Number of parameters: the baseline that every other proxy must beat (White et al. 2022, "A deeper look at zero-cost
    proxies for lightweight NAS")."""
    return float(sum(parameter.numel() for parameter in subject.network.parameters()))


@register("macs")
def macs(subject: Subject) -> float:
    """Multiply-accumulates of one input: the sum of the operators' own formulas where the architecture is known, otherwise
    counted by torch while the network runs (half of its FLOPs)."""
    if subject.architecture is not None:
        return float(sum(cost(spec).macs for spec in subject.architecture.specs))
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        subject.network.eval()(subject.inputs[:1])
    return counter.get_total_flops() / 2
