"""What one training step does to gradients: sandwich with in-place distillation, or one network by itself."""

from __future__ import annotations

from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nas.data import ImageData, to_batch
from nas.training.sampler import SandwichSampler
from search_spaces import Supernet


class Step(Protocol):
    """Adds the gradients of one step to the model's parameters and says what it saw."""

    def __call__(self, images: Tensor, labels: Tensor, step: int, attempt: int) -> dict[str, float]:
        """uint8 images ``(B, C, H, W)`` and labels ``(B,)`` -> metrics; ``loss`` is watched for spikes."""
        ...


class SandwichStep:
    """Sandwich rule with in-place distillation (BigNAS, arXiv 2003.11142).

    The largest subnet learns from the labels; every other one half from the labels and half from the largest subnet's
    softened answer on the same batch. Each subnet sees the batch at its own resolution.

    Args:
        supernet: gets the gradients.
        sampler: the subnets of each step.
        data: for normalisation.
        label_smoothing: of the loss on labels.
    """

    def __init__(self, supernet: Supernet, sampler: SandwichSampler, data: ImageData, label_smoothing: float) -> None:
        self.supernet, self.sampler, self.data, self.label_smoothing = supernet, sampler, data, label_smoothing

    def __call__(self, images: Tensor, labels: Tensor, step: int, attempt: int) -> dict[str, float]:
        rows = self.sampler.rows(step, attempt)
        teacher: Tensor | None = None
        metrics: dict[str, float] = {}
        for role, row in zip(("largest", "smallest", *["random"] * (len(rows) - 2)), rows, strict=True):
            architecture = self.supernet.space.architecture(row)
            batch = to_batch(images, self.data.mean, self.data.std, architecture.input_shape[-1])
            logits = self.supernet.subnet(architecture)(batch)
            loss = F.cross_entropy(logits, labels, label_smoothing=self.label_smoothing)
            metrics[f"{role}_loss"] = metrics.get(f"{role}_loss", 0.0) + loss.item()
            right = (logits.argmax(1) == labels).float().mean().item()
            metrics[f"{role}_accuracy"] = metrics.get(f"{role}_accuracy", 0.0) + right
            if teacher is None:
                teacher = logits.detach().softmax(1)
            else:
                divergence = F.kl_div(logits.log_softmax(1), teacher, reduction="batchmean")
                loss = 0.5 * loss + 0.5 * divergence
            (loss / len(rows)).backward()
        for metric in ("random_loss", "random_accuracy"):
            if metric in metrics:
                metrics[metric] /= len(rows) - 2
        return {"loss": metrics["largest_loss"], **metrics}


class PlainStep:
    """One network alone, from the labels.

    Args:
        network: gets the gradients.
        resolution: side of its input.
        data: for normalisation.
        label_smoothing: of the loss.
    """

    def __init__(self, network: nn.Module, resolution: int, data: ImageData, label_smoothing: float) -> None:
        self.network, self.resolution, self.data, self.label_smoothing = network, resolution, data, label_smoothing

    def __call__(self, images: Tensor, labels: Tensor, step: int, attempt: int) -> dict[str, float]:
        logits = self.network(to_batch(images, self.data.mean, self.data.std, self.resolution))
        loss = F.cross_entropy(logits, labels, label_smoothing=self.label_smoothing)
        loss.backward()
        with torch.no_grad():
            right = (logits.argmax(1) == labels).float().mean().item()
        return {"loss": loss.item(), "accuracy": right}
