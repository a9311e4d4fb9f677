"""How the encoder learns: first what is free of many random architectures, then the scores of a few."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.func import functional_call, stack_module_state, vmap

from predictors.encoder_network import EMBEDDING, KNOWN, Encoder, ranking_loss
from predictors.token_sequences import ABSENT, Tokens

Rows = NDArray[np.integer]
Floats = NDArray[np.float64]
BATCH = 64  # architectures a step of pre-training
EPOCHS = 20
RATE = 3e-3  # largest of a one-cycle schedule (Smith and Topin, 2018)
TUNE_STEPS = 100, 400  # one for each architecture, between these
TUNE_BATCHES = 16, 64  # a quarter of what there is, between these
TUNE_RATE = 1.5e-3
RANKING = 1.0  # weight of the ranking loss beside the squared one
CHUNK = 512  # architectures read at once
LEAST_SPREAD = 0.05  # of what a token says, so that what hardly varies where it was learnt is not blown up elsewhere
P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True)
class Task:
    """What is known of architectures: rows (n, G) for ``tokens``, and groups of targets (n, k) of any kind, which count alike
    however many are in one; ``scores``: they are scores, which the encoder keeps as its `known`."""

    tokens: Tokens
    rows: Rows
    targets: tuple[Floats, ...]
    scores: bool = False


def alone(function: Callable[P, R]) -> Callable[P, R]:
    """Decorator: PyTorch on one thread, so that sums do not depend on the machine's cores; the old number is back after."""

    @wraps(function)
    def limited(*args: P.args, **kwargs: P.kwargs) -> R:
        before = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            return function(*args, **kwargs)
        finally:
            torch.set_num_threads(before)

    return limited


@alone
def pretrain(tasks: Sequence[Task], seed: int) -> Encoder:
    """An encoder from whose embedding a line gives the targets of all tasks, each with a line of its own.

    Targets are scaled to mean 0 and deviation 1; those that do not vary are left out. Deterministic.
    """
    generator = torch.Generator().manual_seed(seed)
    encoder = Encoder(generator)
    inputs = [read(task.tokens, task.rows) for task in tasks]
    said = torch.cat([tokens[there] for tokens, there, _ in inputs])
    encoder.centre.copy_(said.mean(0))
    encoder.spread.copy_(said.std(0).clamp(min=LEAST_SPREAD))
    targets = [[_scaled(group) for group in task.targets] for task in tasks]
    heads = [[torch.zeros(EMBEDDING + 1, group.shape[1]) for group in groups] for groups in targets]
    learnt = [*encoder.parameters(), *(head.requires_grad_() for of_task in heads for head in of_task)]
    steps = [max(1, len(task.rows) // BATCH) for task in tasks]
    optimiser = torch.optim.AdamW(learnt, lr=RATE, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=EPOCHS * sum(steps))
    for _ in range(EPOCHS):
        batches = [
            (number, part)
            for number, task in enumerate(tasks)
            for part in torch.randperm(len(task.rows), generator=generator).tensor_split(steps[number])
        ]
        for place in torch.randperm(len(batches), generator=generator).tolist():
            number, part = batches[place]
            embedding = encoder(*(given[part] for given in inputs[number]))
            loss = 0.0 * embedding.sum()
            for head, group in zip(heads[number], targets[number], strict=True):
                if group.shape[1]:
                    loss = loss + ((embedding @ head[:-1] + head[-1] - group[part]) ** 2).mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    kept = [head.detach() for of_task, task in zip(heads, tasks, strict=True) if task.scores for head in of_task]
    if kept:
        lines = torch.cat(kept, 1)[:, :KNOWN]
        encoder.known[:, : lines.shape[1]] = lines
    return encoder.requires_grad_(False)


class Members:
    """Copies of an encoder, each with a line of its own on top, tuned to the scores of a few architectures. The line starts at
    what the encoder knows of other tasks, if it was taught any.

    They are tuned side by side, a step of all at once, by a squared and a ranking loss. Deterministic.

    Args:
        encoder: where all of them start.
        tokens: of the rows.
        seed: of the batches.
    """

    def __init__(self, encoder: Encoder, tokens: Tokens, seed: int) -> None:
        self._encoder, self._tokens, self._seed = encoder, tokens, seed

    @alone
    def fit(self, X: Rows, y: Floats, parts: Sequence[NDArray[np.int64]]) -> Members:
        """Learn scores (n,) of rows (n, G); member k sees the rows ``parts[k]`` alone."""
        count, rng = len(parts), np.random.default_rng(self._seed)
        self._mean, self._scale = float(y.mean()), float(y.std()) or 1.0
        true = torch.from_numpy((y - self._mean) / self._scale).float()
        inputs = read(self._tokens, X)
        state, self._buffers = stack_module_state([self._encoder] * count)  # type: ignore[arg-type]
        self._state = {name: value.detach().clone().requires_grad_() for name, value in state.items()}
        self._line = torch.stack([self._start(inputs, true, part) for part in parts]).requires_grad_()
        least = min(len(part) for part in parts)
        size = min(least, int(np.clip(least // 4, *TUNE_BATCHES)))
        a_round = least // size
        rounds = -(-int(np.clip(len(X), *TUNE_STEPS)) // a_round)
        learnt = [*self._state.values(), self._line]
        optimiser = torch.optim.AdamW(learnt, lr=TUNE_RATE, weight_decay=0.05)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, TUNE_RATE, total_steps=rounds * a_round)
        for _ in range(rounds):
            mixed = np.stack([rng.permutation(part)[: a_round * size] for part in parts])
            for batch in torch.from_numpy(mixed).split(size, dim=1):
                guess = self._guess([given[batch] for given in inputs], 0)
                wanted = true[batch]
                ranks = torch.stack([ranking_loss(*pair) for pair in zip(guess, wanted, strict=True)])
                loss = (((guess - wanted) ** 2).mean(1) + RANKING * ranks).sum()
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                schedule.step()
        return self

    def _start(self, inputs: Sequence[Tensor], true: Tensor, part: NDArray[np.int64]) -> Tensor:
        """(EMBEDDING + 1,) the mix of what the encoder knows of other tasks that suits these scores; 0 if it knows none."""
        known = self._encoder.known
        if not known.any():
            return torch.zeros(EMBEDDING + 1)
        embedding = self._encoder(*(given[part] for given in inputs))
        guess = embedding @ known[:-1] + known[-1]
        columns = torch.cat((guess, torch.ones(len(guess), 1)), 1)
        pull = torch.diag(torch.tensor([1.0] * KNOWN + [1e-6]))
        weights = torch.linalg.solve(columns.T @ columns + pull, columns.T @ true[part])
        start = known @ weights[:-1]
        start[-1] += weights[-1]
        return start

    @alone
    @torch.no_grad()
    def predict(self, X: Rows) -> Floats:
        """(k, n) what each member guesses of rows (n, G)."""
        found = [self._guess(read(self._tokens, X[start : start + CHUNK]), None) for start in range(0, len(X), CHUNK)]
        guess = torch.cat(found, 1) if found else torch.zeros(len(self._line), 0)
        return self._mean + self._scale * guess.numpy().astype(np.float64)

    def _guess(self, inputs: Sequence[Tensor], dimension: int | None) -> Tensor:
        """(k, B), of inputs (k, B, ...) if ``dimension`` is 0, or of the same (B, ...) for all."""

        def of_one(state: dict[str, Tensor], buffers: dict[str, Tensor], line: Tensor, *given: Tensor) -> Tensor:
            embedding: Tensor = functional_call(self._encoder, (state, buffers), given)
            return embedding @ line[:-1] + line[-1]

        dimensions: Any = (0, 0, 0, *([dimension] * len(inputs)))
        return vmap(of_one, dimensions)(self._state, self._buffers, self._line, *inputs)  # type: ignore[no-any-return]


@alone
@torch.no_grad()
def embed(encoder: Encoder, tokens: Tokens, X: Rows) -> Floats:
    """(n, EMBEDDING) embeddings of rows (n, G)."""
    found = [encoder(*read(tokens, X[start : start + CHUNK])) for start in range(0, len(X), CHUNK)]
    return np.concatenate([part.numpy() for part in found] or [np.zeros((0, EMBEDDING))]).astype(np.float64)


def read(tokens: Tokens, X: Rows) -> tuple[Tensor, Tensor, Tensor]:
    """What an `Encoder` takes, of rows (n, G)."""
    found = tokens(X)
    said = np.concatenate((tokens.vocabulary[found.operators] * found.there[..., None], found.places), axis=-1)
    one_hot = np.eye(ABSENT + 1, dtype=np.float32)[found.relations][..., :ABSENT]
    return torch.from_numpy(said), torch.from_numpy(found.there), torch.from_numpy(one_hot)


def _scaled(targets: Floats) -> Tensor:
    spread = targets.std(axis=0)
    good = spread > 1e-9 * np.maximum(np.abs(targets).max(axis=0, initial=0.0), 1.0)
    return torch.from_numpy(((targets - targets.mean(axis=0))[:, good] / spread[good]).astype(np.float32))
