"""Accuracy of a network on a split, with batch-norm statistics calibrated where it has any."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from nas.data import ImageData, to_batch

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
def calibrate(network: nn.Module, data: ImageData, resolution: int, images: int) -> None:
    """Sets the batch-norm statistics of ``network`` from ``images`` training images, un-augmented (as AttentiveNAS does,
    arXiv 2011.09011); a network without batch norm is left as it is.

    Args:
        network: a network of its own (`Supernet.extract`), not a subnet: its buffers are written.
        data: its ``train`` split is read.
        resolution: side of the network's input.
        images: how many.
    """
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    if not norms:
        return
    device = next(network.parameters()).device
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain average over the batches
        norm.train()
    for part in data.train.images[:images].split(BATCH):
        if len(part) > 1:
            network(to_batch(part.to(device), data.mean, data.std, resolution))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
        norm.eval()


@torch.no_grad()
def predictions(network: nn.Module, images: Tensor, data: ImageData, resolution: int) -> Tensor:
    """The predicted classes ``(N,)`` of uint8 ``images`` ``(N, C, H, W)``; the network must be in evaluation mode."""
    device = next(network.parameters()).device
    parts = [images[i : i + BATCH].to(device) for i in range(0, len(images), BATCH)]
    return torch.cat([network(to_batch(part, data.mean, data.std, resolution)).argmax(1).cpu() for part in parts])


def accuracy(network: nn.Module, images: Tensor, labels: Tensor, data: ImageData, resolution: int) -> float:
    """Share of right answers, from 0 to 1."""
    right = int((predictions(network, images, data, resolution) == labels).sum())
    return right / len(labels)
