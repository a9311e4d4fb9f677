"""The proxy zen."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from predictors.proxies.calls import NormScales
from predictors.proxies.registry import register
from predictors.proxies.subject import Subject, Undefined
from search_spaces import Network

STEP = 0.01
LAYERS = (nn.Conv1d, nn.Conv2d, nn.Linear)


@register("zen")
def zen(subject: Subject) -> float:
    """Zen-score (Lin et al. 2021, Zen-NAS, arXiv 2102.01063): how far the features move when the input does, norms undone.

    ``log mean |f(x) - f(x + 0.01 e)| + sum over the norms of log(root of the mean variance that they divide by)``, for normal x
    and e, and weights of convolutions and linear maps drawn from the normal distribution (biases 0). f are the features
    before the head, or the output where the network is none of ours.

    The paper has batch norms only. Here every norm counts alike (layer, group, instance, root mean square), for the same
    reason: it hides the scale of what is before it. A network without any norm has no second term: its score is the paper's
    Phi-score. Residual links stay, as in published reimplementations; the paper takes them out.
    """
    for layer in subject.network.modules():
        if isinstance(layer, LAYERS):
            nn.init.normal_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    x = torch.randn_like(subject.values())
    with torch.no_grad():
        with NormScales() as norms:
            here = features(subject, x)
        there = features(subject, x + STEP * torch.randn_like(x))
    moved = float((here - there).double().flatten(1).norm(dim=1).mean())
    if moved == 0:
        raise Undefined("the features do not depend on the input")
    return math.log(moved) + norms.log_scale


def features(subject: Subject, values: Tensor) -> Tensor:
    """What the head of a `Network` sees; of another network, its output."""
    if not isinstance(subject.network, Network):
        return subject.run(values)
    seen: list[Tensor] = []
    hook = subject.network[-1].register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    try:
        subject.run(values)
    finally:
        hook.remove()
    return seen[-1]
