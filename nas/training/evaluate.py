"""How good a network is on a split, with batch-norm statistics calibrated where it has any."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from nas.data import Data, Split
from nas.data.sequences import IGNORED
from nas.metric import ACCURACY, Score

BATCH = 250


@contextmanager
def one_thread() -> Iterator[None]:
    """PyTorch on one thread inside: sums then have one order, whatever the machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@torch.no_grad()
def calibrate(network: nn.Module, data: Data, extent: int, count: int) -> None:
    """Sets the batch-norm statistics of ``network`` from ``count`` training inputs, un-augmented (as AttentiveNAS does,
    arXiv 2011.09011); a network without batch norm is left as it is.

    Args:
        network: a network of its own (`Supernet.extract`), not a subnet: its buffers are written.
        data: its ``train`` split is read.
        extent: side of the network's images, or tokens of its sequences.
        count: how many.
    """
    norms = [module for module in network.modules() if isinstance(module, _BatchNorm)]
    if not norms:
        return
    device = next(network.parameters()).device
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain average over the batches
        norm.train()
    for part in data.train.inputs[:count].split(data.evaluation_batch(BATCH)):
        if len(part) > 1:
            network(data.batch(part.to(device), extent))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
        norm.eval()


def answers(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Logits ``(..., classes)`` and as many labels -> ``(N, classes)`` and int64 ``(N,)``: what the labels ask for.

    A network of shorter context answers a sequence in pieces, in the same order.
    """
    logits, labels = logits.flatten(0, -2), labels.flatten()
    if labels.dtype != torch.int64:
        return logits, labels.long()  # bytes: every token is asked for
    asked = labels != IGNORED
    return (logits, labels) if bool(asked.all()) else (logits[asked], labels[asked])


@torch.no_grad()
def evaluate(network: nn.Module, split: Split, data: Data, extent: int) -> Score:
    """The metric of ``data`` on a split; the network must be in evaluation mode.

    Accuracy is the share of right answers. Bits per byte is the mean over windows of their mean cross-entropy a token.
    """
    device = next(network.parameters()).device
    size = data.evaluation_batch(BATCH)
    found = []
    for start in range(0, len(split.labels), size):
        inputs, labels = split.inputs[start : start + size], split.labels[start : start + size]
        logits = network(data.batch(inputs.to(device), extent))
        logits, asked = answers(logits, labels.to(device))
        if data.metric is ACCURACY:
            found.append((logits.argmax(1) == asked).cpu())
        else:
            bits = F.cross_entropy(logits.float(), asked, reduction="none") / math.log(2)
            found.append(bits.view(len(labels), -1).double().mean(1).cpu())
    values = torch.cat(found)
    if data.metric is ACCURACY:
        share = int(values.sum()) / len(values)
        return Score(share, math.sqrt(share * (1 - share)), len(values))
    return Score(float(values.mean()), float(values.std()) if len(values) > 1 else 0.0, len(values))


def first(split: Split, count: int | None) -> Split:
    """The first ``count`` examples of a split; all for None."""
    return Split(split.inputs[:count], split.labels[:count])
