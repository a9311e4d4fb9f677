"""Proxies of how well an untrained network tells inputs apart: nwot and jacov."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from predictors.proxies.calls import ActivationInputs
from predictors.proxies.registry import register
from predictors.proxies.subject import Subject, Undefined


@register("nwot")
def nwot(subject: Subject) -> float:
    """Activation patterns (Mellor et al. 2021, "Neural architecture search without training", arXiv 2006.04647, version 3).

    ``log |det K|``, where ``K[i, j]`` is how many activation functions are on the same side for inputs i and j. A side is the
    sign of what an activation function gets: ReLU, GELU, SiLU and their like pass what is positive and stop what is
    negative, and a gate (sigmoid, tanh) is more than half open or not. Calls of functions are seen as well as modules:
    see `predictors.proxies.calls`.
    """
    count = len(subject.inputs)
    kernel = torch.zeros(count, count, dtype=torch.float64)
    values = subject.values().detach().clone().requires_grad_()

    def see(x: Tensor) -> None:
        if not x.requires_grad:  # made of parameters alone: the same for all inputs
            return
        on = (by_input(x, values) > 0).float()
        kernel.add_(on @ on.T + (1 - on) @ (1 - on).T)

    for parameter in subject.network.parameters():
        parameter.requires_grad_(False)
    with ActivationInputs(see):
        subject.run(values)
    if not kernel.any():
        raise Undefined("the network has no activation function")
    sign, logarithm = np.linalg.slogdet(kernel.numpy())
    if sign <= 0 or not math.isfinite(logarithm):
        raise Undefined("two inputs have the same activation pattern")
    return float(logarithm)


def by_input(x: Tensor, values: Tensor) -> Tensor:
    """``(N, numbers)``: what of ``x`` belongs to each of the N inputs ``values``, of which it was computed.

    The inputs are one axis of ``x``, or share the first one with something else: with windows, after the input, or with
    directions of a scan, before it. Which of the two, the gradient of one row says.
    """
    count = len(values)
    if x.ndim == 0 or x.shape[0] % count:
        axis = next((axis for axis, length in enumerate(x.shape) if length == count), None)
        if axis is None:
            raise Undefined(
                f"an activation function sees shape {tuple(x.shape)}, where the {count} inputs are not apart"
            )
        return x.detach().movedim(axis, 0).reshape(count, -1)
    parts = x.shape[0] // count
    if parts > 1:
        (slopes,) = torch.autograd.grad(x[1].sum(), [values], retain_graph=True)
        if slopes.flatten(1).norm(dim=1).argmax() == 1:
            return x.detach().unflatten(0, (parts, count)).transpose(0, 1).reshape(count, -1)
    return x.detach().reshape(count, -1)


@register("jacov")
def jacov(subject: Subject) -> float:
    """Covariance of Jacobians (Mellor et al. 2020, arXiv 2006.04647, version 1).

    ``-sum of (log(v + k) + 1 / (v + k))``, k = 1e-5, over the eigenvalues v of the correlation matrix of the inputs'
    Jacobians, each the gradient of the sum of the outputs by that input (of tokens: by their vectors).
    """
    values = subject.values().detach().clone().requires_grad_()
    (slopes,) = torch.autograd.grad(subject.run(values).sum(), [values], allow_unused=True)
    if slopes is None or not slopes.flatten(1).any(1).all():
        raise Undefined("the output does not depend on some input")
    spectrum = np.linalg.eigvalsh(np.corrcoef(slopes.flatten(1).double().numpy())) + 1e-5
    if spectrum.min() <= 0:
        spectrum = spectrum.clip(min=1e-5)  # rounding: a correlation matrix has no negative eigenvalue
    return float(-(np.log(spectrum) + 1 / spectrum).sum())
