"""The training loop: checkpoints, bit-exact resume, and a way back from loss spikes."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from nas.training.checkpoint import MemoryStore, Store, gather, scatter
from nas.training.recipe import Recipe
from nas.training.steps import Step

MAX_ROLLBACKS = 5
CLIP = 1.0
MEMORY = 0.98  # of the running loss


class TrainingFailed(RuntimeError):
    """The loss spiked again and again, also after going back to a checkpoint and on with other batches."""


class Trainer:
    """Trains ``model`` by ``step`` with ``recipe``.

    A step depends on its number, the weights and the number of rollbacks, on nothing else; so a run that is killed and
    resumed from its last checkpoint ends with the same bits as one that is not (on one machine, with as many threads).

    When the loss is not finite, or far above its running mean, the trainer goes back to the last checkpoint and on with
    other batches and subnets.

    Args:
        model: what is trained; ``step`` adds gradients to its parameters.
        step: see `nas.training.steps.Step`.
        recipe: optimiser, schedule and batches.
        store: where checkpoints go; in memory by default.
        checkpoint_steps: steps between checkpoints.
    """

    def __init__(
        self, model: nn.Module, step: Step, recipe: Recipe, store: Store | None = None, checkpoint_steps: int = 100
    ) -> None:
        self.model, self.recipe = model, recipe
        self._step = step
        self._store: Store = MemoryStore() if store is None else store
        self._checkpoint_steps = checkpoint_steps
        self._optimizer = recipe.optimizer(model)
        self._state: dict[str, Any] = {"step": 0, "rollbacks": 0, "loss": None, "log": [], "seconds": 0.0}
        self._clock = 0.0

    @property
    def log(self) -> list[dict[str, float]]:
        """One row every tenth of an epoch: step, epoch, learning rate and the mean metrics since the last row."""
        return list(self._state["log"])

    @property
    def rollbacks(self) -> int:
        """How often the trainer went back to a checkpoint because of a loss spike."""
        return int(self._state["rollbacks"])

    @property
    def seconds(self) -> float:
        """Time spent on the steps that count, over all processes that worked on them."""
        return float(self._state["seconds"])

    def run(self, progress: Callable[[int, int, dict[str, float]], None] | None = None) -> None:
        """Trains to the end, from the last checkpoint if there is one; ``progress(step, steps, metrics)`` after each step.

        The model is left in evaluation mode.

        Raises:
            TrainingFailed: more than 5 rollbacks.
        """
        self._clock = time.perf_counter()
        kept = self._store.load()
        if kept is None:
            self._save()
        else:
            self._restore(kept)
        self.model.train()
        pending: list[dict[str, float]] = []
        row_steps = max(self.recipe.epoch_steps // 10, 1)
        while self._state["step"] < self.recipe.steps:
            step, attempt = self._state["step"], self._state["rollbacks"]
            metrics = self._train_step(step, attempt)
            if metrics is None:
                pending = []
                continue
            pending.append(metrics)
            step += 1
            self._state["step"] = step
            # rows end where checkpoints may stand, so that a resumed run writes the same rows
            if step % row_steps == 0 or step % self._checkpoint_steps == 0 or step == self.recipe.steps:
                self._state["log"].append(self._row(step, pending))
                pending = []
            if step % self._checkpoint_steps == 0 or step == self.recipe.steps:
                self._save()
            if progress is not None:
                progress(step, self.recipe.steps, metrics)
        self.model.eval()

    def _train_step(self, step: int, attempt: int) -> dict[str, float] | None:
        """One optimiser step; ``None`` if the loss spiked and the state was rolled back."""
        self._optimizer.zero_grad(set_to_none=True)
        metrics = self._step(*self.recipe.batch(step, attempt), step, attempt)
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), CLIP)
        if self._spiked(metrics["loss"]) or not math.isfinite(norm.item()):
            self._roll_back(step, metrics["loss"])
            return None
        for group in self._optimizer.param_groups:
            group["lr"] = self.recipe.learning_rate(step)
        self._optimizer.step()
        running = self._state["loss"]
        self._state["loss"] = metrics["loss"] if running is None else MEMORY * running + (1 - MEMORY) * metrics["loss"]
        return metrics

    def _spiked(self, loss: float) -> bool:
        running = self._state["loss"]
        return not math.isfinite(loss) or (running is not None and loss > 2 * running + 1)

    def _roll_back(self, step: int, loss: float) -> None:
        rollbacks = self._state["rollbacks"] + 1
        if rollbacks > MAX_ROLLBACKS:
            raise TrainingFailed(
                f"training: the loss spiked to {loss:.3g} at step {step} after {MAX_ROLLBACKS} rollbacks; "
                "a lower train.learning_rate is the usual cure"
            )
        kept = self._store.load()
        assert kept is not None  # run() saved one before the first step
        self._restore(kept)
        self._state["rollbacks"] = rollbacks
        self._save()  # a kill right now must not forget the rollback

    def _row(self, step: int, pending: list[dict[str, float]]) -> dict[str, float]:
        means = {name: sum(row[name] for row in pending) / len(pending) for name in pending[0]}
        rate = self.recipe.learning_rate(step - 1)
        return {"step": step, "epoch": step / self.recipe.epoch_steps, "learning_rate": rate, **means}

    def _save(self) -> None:
        now = time.perf_counter()
        self._state["seconds"] += now - self._clock
        self._clock = now
        self._store.save(gather(self.model, self._optimizer), self._state)

    def _restore(self, kept: tuple[dict[str, torch.Tensor], dict[str, Any]]) -> None:
        tensors, self._state = kept
        scatter(tensors, self.model, self._optimizer)
