"""Proxies from the gradients of the loss: snip, grad_norm and zico."""

from __future__ import annotations

import math

import torch

from predictors.proxies.registry import register
from predictors.proxies.subject import Subject, Undefined


@register("snip", labels=True)
def snip(subject: Subject) -> float:
    """Connection sensitivity (Lee et al. 2019, SNIP, arXiv 1810.02340), as a sum (Abdelfattah et al. 2021, arXiv 2101.08134).

    Sum of ``|w * dL/dw|`` over all entries of all weights.
    """
    parameters = dict(subject.network.named_parameters())
    return sum(
        float((parameters[name].detach() * slope).double().abs().sum()) for name, slope in subject.gradients().items()
    )


@register("grad_norm", labels=True)
def grad_norm(subject: Subject) -> float:
    """Sum over the weights of the Euclidean norm of ``dL/dw`` (Abdelfattah et al. 2021, arXiv 2101.08134)."""
    return sum(float(slope.double().norm()) for slope in subject.gradients().values())


@register("zico", labels=True)
def zico(subject: Subject) -> float:
    """Inverse coefficient of variation of gradients (Li et al. 2023, ZiCo, arXiv 2301.11300).

    Sum over the weights W of ``log(sum over w in W of mean |g| / std |g|)``, over the gradients g of the loss on the two halves
    of the batch. Entries whose two gradients are equal count as nothing, as in the authors' program.
    """
    half = len(subject.inputs) // 2
    halves = [subject.gradients(slice(0, half)), subject.gradients(slice(half, 2 * half))]
    total = 0.0
    for name in halves[0]:
        sizes = torch.stack([part[name] for part in halves]).double().abs()
        mean, spread = sizes.mean(0), sizes.std(0, correction=0)
        steady = float((mean[spread > 0] / spread[spread > 0]).sum())
        total += math.log(steady) if steady else 0.0
    if not any(bool(slope.any()) for slope in halves[0].values()):
        raise Undefined("no weight has a gradient")
    return total
