"""Modules that several runtimes are tried with."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Attention(nn.Module):
    """A convolution, softmax attention, a residual, and parts that behave differently in training."""

    def __init__(self, dim: int = 8, kernel: int = 1) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(dim)
        self.qkv = nn.Conv2d(dim, 3 * dim, kernel, padding=kernel // 2)
        self.drop = nn.Dropout(0.5)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(self.norm(x)).flatten(2).chunk(3, dim=1)
        weights = (q.transpose(1, 2) @ k).softmax(-1)
        return x + self.drop((v @ weights.transpose(1, 2)).reshape(x.shape))


class DecodeStep(nn.Module):
    """One token of a recurrence: token numbers, a state and a position in, class scores and the next ones out."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(11, 6)
        self.out = nn.Linear(6, 5)

    def forward(self, token: Tensor, state: Tensor, position: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        state = 0.5 * state + self.embed(token).unsqueeze(-1)
        return self.out(state.mean(-1)), state, position + 1


class DependsOnData(nn.Module):
    """Its graph depends on a value, which no exporter can follow."""

    def forward(self, x: Tensor) -> Tensor:
        return x if x.sum() > 0 else -x


def image(dim: int = 3, side: int = 6, seed: int = 0) -> Tensor:
    """(1, dim, side, side) normal numbers."""
    return torch.randn(1, dim, side, side, generator=torch.Generator().manual_seed(seed))
