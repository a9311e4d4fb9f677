"""The proxy synflow."""

from __future__ import annotations

import math

import torch

from predictors.proxies.calls import NeutralNorms
from predictors.proxies.registry import register
from predictors.proxies.subject import Subject, weights


@register("synflow")
def synflow(subject: Subject) -> float:
    """Synaptic flow (Tanaka et al. 2020, arXiv 2006.05467) without batch norm (Abdelfattah et al. 2021, arXiv 2101.08134).

    ``log(1 + sum of |w * dR/dw|)`` over all entries of all weights, where R is the sum of the outputs for one input of ones (of
    tokens: ones in place of their vectors) when every parameter has its absolute value. In float64; the logarithm keeps the
    order. Batch norm does nothing. Published networks have no other norm; ours do, beside gates and attention that multiply
    two flows, and without any norm such a flow is squared layer by layer until it overflows. So the other norms divide by
    a constant, the root mean square of what they see: see `NeutralNorms`.
    """
    network = subject.network.double()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.abs_()
    values = torch.ones_like(subject.values()[:1], dtype=torch.float64)
    found = list(weights(network).values())
    with NeutralNorms():
        flow = Subject(network, _as_double(subject.inputs)).run(values).sum()
    slopes = torch.autograd.grad(flow, found, allow_unused=True)
    pairs = zip(found, slopes, strict=True)
    return math.log1p(sum(float((w.detach() * slope).abs().sum()) for w, slope in pairs if slope is not None))


def _as_double(inputs: torch.Tensor) -> torch.Tensor:
    return inputs.double() if inputs.is_floating_point() else inputs
