"""One call: the zero-cost proxies of a network, with what they took."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from predictors.errors import PredictorError
from predictors.proxies.registry import PROXIES
from predictors.proxies.subject import Subject, Undefined
from search_spaces import Architecture


@dataclass(frozen=True)
class ProxyScore:
    """One proxy of one network.

    Attributes:
        value: the number; nan where the network has none.
        seconds: what it took, the copy of the network included.
        reason: why there is none.
    """

    value: float
    seconds: float
    reason: str = ""


def check_names(names: Sequence[str]) -> None:
    """PredictorError unless each of ``names`` is a proxy, one or more."""
    for name in names:
        if name not in PROXIES:
            raise PredictorError(f"proxies: got {name!r}; legal: {', '.join(PROXIES)}")
    if not names or len(set(names)) < len(names):
        raise PredictorError(f"proxies: got {list(names)}; legal: one or more, each once: {', '.join(PROXIES)}")


def score_proxies(
    network: nn.Module,
    inputs: Tensor,
    labels: Tensor | None = None,
    names: Sequence[str] | None = None,
    *,
    seed: int = 0,
    architecture: Architecture | None = None,
) -> dict[str, ProxyScore]:
    """Zero-cost proxies of a network that need not be trained, by name.

    The network stays as it is: each proxy works on a copy of its own, in training mode, so no value depends on which others
    were asked for. Random numbers outside are not touched.

    Args:
        network: any module from inputs to logits ``(N, classes)``, or ``(N, L, classes)``.
        inputs: ``(N, C, H, W)`` images or ``(N, L)`` token numbers, N at least 4.
        labels: classes ``(N,)``, or ``(N, L)`` the next tokens; needed by the proxies of the loss.
        names: of `PROXIES`; all by default.
        seed: of the draws in proxies that draw (zen), and of random operators.
        architecture: of the network, where it is known: its operators' formulas then give ``macs``.

    Raises:
        PredictorError: an unknown proxy, too few inputs, or labels that are missing or do not fit.
    """
    names = list(PROXIES) if names is None else list(names)
    check_names(names)
    if len(inputs) < 4:
        raise PredictorError(f"inputs: got {len(inputs)}; legal: at least 4")
    if labels is None and (needy := [name for name in names if PROXIES[name].labels]):
        raise PredictorError(f"labels: are missing; legal: one an input or token, for {', '.join(needy)}")
    if labels is not None and len(labels) != len(inputs):
        raise PredictorError(f"labels: got {len(labels)}; legal: {len(inputs)}, as many as inputs")
    scores = {}
    with torch.random.fork_rng(devices=[]):
        for name in names:
            torch.manual_seed(seed)
            began = time.perf_counter()
            value, reason = _measure(name, network, inputs, labels, architecture)
            scores[name] = ProxyScore(value, time.perf_counter() - began, reason)
    return scores


def _measure(
    name: str, network: nn.Module, inputs: Tensor, labels: Tensor | None, architecture: Architecture | None
) -> tuple[float, str]:
    own = copy.deepcopy(network).train().requires_grad_()  # hooks of a supernet on its slices are not copied
    try:
        with torch.enable_grad():
            value = PROXIES[name].measure(Subject(own, inputs, labels, architecture))
    except Undefined as why:
        return math.nan, str(why)
    return (value, "") if math.isfinite(value) else (math.nan, f"came out as {value}")
