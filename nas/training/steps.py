"""What one training step does to gradients: sandwich with in-place distillation, or one network by itself."""

from __future__ import annotations

import math
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nas.data import Data
from nas.metric import ACCURACY, Metric
from nas.training.evaluate import answers
from nas.training.sampler import SandwichSampler
from search_spaces import Supernet


class Step(Protocol):
    """Adds the gradients of one step to the model's parameters and says what it saw."""

    def __call__(self, inputs: Tensor, labels: Tensor, step: int, attempt: int) -> dict[str, float]:
        """Stored inputs (images or tokens) and labels -> metrics; ``loss`` is watched for spikes."""
        ...


def quality(metric: Metric, logits: Tensor, labels: Tensor) -> float:
    """The metric on a training batch: logits ``(N, classes)``, labels ``(N,)``."""
    if metric is ACCURACY:
        return (logits.argmax(1) == labels).float().mean().item()
    return F.cross_entropy(logits, labels).item() / math.log(2)


class SandwichStep:
    """Sandwich rule with in-place distillation (BigNAS, arXiv 2003.11142).

    The largest subnet learns from the labels; every other one half from the labels and half from the largest subnet's
    softened answer on the same batch (of a sequence: after every token). Each subnet sees the batch at its own extent.

    Args:
        supernet: gets the gradients.
        sampler: the subnets of each step.
        data: makes batches of an extent, and names the metric.
        label_smoothing: of the loss on labels.
    """

    def __init__(self, supernet: Supernet, sampler: SandwichSampler, data: Data, label_smoothing: float) -> None:
        self.supernet, self.sampler, self.data, self.label_smoothing = supernet, sampler, data, label_smoothing

    def __call__(self, inputs: Tensor, labels: Tensor, step: int, attempt: int) -> dict[str, float]:
        name = self.data.metric.name
        rows = self.sampler.rows(step, attempt)
        teacher: Tensor | None = None
        metrics: dict[str, float] = {}
        for role, row in zip(("largest", "smallest", *["random"] * (len(rows) - 2)), rows, strict=True):
            architecture = self.supernet.space.architecture(row)
            batch = self.data.batch(inputs, architecture.input_shape[-1])
            logits, asked = answers(self.supernet.subnet(architecture)(batch), labels)
            loss = F.cross_entropy(logits, asked, label_smoothing=self.label_smoothing)
            metrics[f"{role}_loss"] = metrics.get(f"{role}_loss", 0.0) + loss.item()
            with torch.no_grad():
                seen = quality(self.data.metric, logits, asked)
            metrics[f"{role}_{name}"] = metrics.get(f"{role}_{name}", 0.0) + seen
            if teacher is None:
                teacher = logits.detach().softmax(1)
            else:
                divergence = F.kl_div(logits.log_softmax(1), teacher, reduction="batchmean")
                loss = 0.5 * loss + 0.5 * divergence
            (loss / len(rows)).backward()
        for metric in ("random_loss", f"random_{name}"):
            if metric in metrics:
                metrics[metric] /= len(rows) - 2
        return {"loss": metrics["largest_loss"], **metrics}


class PlainStep:
    """One network alone, from the labels.

    Args:
        network: gets the gradients.
        extent: side of its images, or tokens of its sequences.
        data: makes batches of an extent, and names the metric.
        label_smoothing: of the loss.
    """

    def __init__(self, network: nn.Module, extent: int, data: Data, label_smoothing: float) -> None:
        self.network, self.extent, self.data, self.label_smoothing = network, extent, data, label_smoothing

    def __call__(self, inputs: Tensor, labels: Tensor, step: int, attempt: int) -> dict[str, float]:
        logits, asked = answers(self.network(self.data.batch(inputs, self.extent)), labels)
        loss = F.cross_entropy(logits, asked, label_smoothing=self.label_smoothing)
        loss.backward()
        with torch.no_grad():
            return {"loss": loss.item(), self.data.metric.name: quality(self.data.metric, logits, asked)}
