"""The recipe: optimiser, learning-rate schedule and the batch of every step. The same for supernet and single networks."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from nas.data import Data, epoch_order, step_rng

if TYPE_CHECKING:
    from nas.job import TrainSection


class Recipe:
    """AdamW, linear warm-up then cosine decay, shuffled epochs. Everything follows from (seed, step).

    Args:
        settings: the job's ``train`` section.
        data: only its ``train`` split is read.
        seed: of order and augmentation.
        device: where the batches are wanted.
    """

    def __init__(self, settings: TrainSection, data: Data, seed: int, device: str = "cpu") -> None:
        self.settings, self.data, self.seed, self.device = settings, data, seed, device
        self.inputs, self.labels = data.train
        self.epoch_steps = max(len(self.labels) // settings.batch_size, 1)
        self.steps = settings.epochs * self.epoch_steps

    def optimizer(self, model: nn.Module) -> torch.optim.AdamW:
        """AdamW (Loshchilov & Hutter, arXiv 1711.05101); vectors and scales are not decayed."""
        parameters = list(model.parameters())
        matrices = [p for p in parameters if p.squeeze().ndim > 1]
        vectors = [p for p in parameters if p.squeeze().ndim <= 1]
        groups = [
            {"params": matrices, "weight_decay": self.settings.weight_decay},
            {"params": vectors, "weight_decay": 0.0},
        ]
        return torch.optim.AdamW(groups, lr=self.settings.learning_rate, betas=(0.9, 0.98), fused=True)

    def learning_rate(self, step: int) -> float:
        """Linear warm-up from 0, then half a cosine to 0."""
        warmup = self.settings.warmup_epochs * self.epoch_steps
        if step < warmup:
            return self.settings.learning_rate * (step + 1) / max(warmup, 1)
        progress = (step - warmup) / max(self.steps - warmup, 1)
        return self.settings.learning_rate * 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))

    def batch(self, step: int, attempt: int = 0) -> tuple[Tensor, Tensor]:
        """Stored inputs (images ``(B, C, H, W)`` or tokens ``(B, L)``), augmented, and labels of a step."""
        epoch, position = divmod(step, self.epoch_steps)
        order = epoch_order(len(self.labels), self.seed + 7919 * attempt, epoch)
        chosen = order[position * self.settings.batch_size : (position + 1) * self.settings.batch_size]
        inputs, labels = self.inputs[chosen], self.labels[chosen]
        if self.settings.augment:
            inputs = self.data.augment(inputs, step_rng(self.seed, step, attempt))
        return inputs.to(self.device), labels.to(self.device)
