"""The Legendre memory: a window of the past, kept as coefficients of orthogonal polynomials."""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from search_spaces.operators.layers import full_precision
from search_spaces.operators.legal import require
from search_spaces.operators.registry import register
from search_spaces.operators.sequence_layers import SequenceMixer, both_ways, require_causal
from search_spaces.operators.ssd import chunk_length

Array = np.ndarray[tuple[int, ...], np.dtype[np.float64]]


def exponential(matrix: Array) -> Array:
    """The matrix exponential: a Taylor series of the matrix over a power of two, then as many squarings."""
    halvings = max(0, math.ceil(math.log2(max(float(np.abs(matrix).sum(1).max()), 1e-300)))) + 4
    term = total = np.eye(len(matrix))
    for power in range(1, 20):
        term = term @ matrix / (2.0**halvings * power)
        total = total + term
    for _ in range(halvings):
        total = total @ total
    return total


def legendre_memory(order: int, window: int) -> tuple[Array, Array]:
    """``m[t] = a m[t-1] + b u[t]``: the delay of ``window`` tokens as ``order`` Legendre coefficients, held over a token.

    Returns:
        a ``(order, order)`` and b ``(order,)``.
    """
    row, column = np.arange(order)[:, None], np.arange(order)[None]
    gain = (2 * row + 1) / window
    sign = np.where(row < column, -1.0, (-1.0) ** (row - column + 1))
    system = np.zeros((order + 1, order + 1))
    system[:order, :order], system[:order, order:] = gain * sign, gain * (-1.0) ** row
    both = exponential(system)
    return both[:order, :order], both[:order, order]


def powers(a: Array, count: int) -> list[Array]:
    """``a^0`` ... ``a^count``."""
    found: list[Array] = [np.eye(len(a))]
    for _ in range(count):
        found.append(a @ found[-1])
    return found


@register
class SequenceLMU(SequenceMixer):
    """Legendre memory unit (Voelker et al., NeurIPS 2019; its parallel form: Chilkuri & Eliasmith, arXiv 2102.11417):
    ``gelu(W_m m + W_x x)``, where m holds the last ``window`` tokens of ``memories`` learned signals as ``order`` Legendre
    coefficients each. The memory has no parameters; within chunks and between them it is a product with constants.

    Args:
        dim: channels in and out.
        memories: signals that are remembered.
        order: coefficients of each; at most ``window``.
        window: tokens that are remembered.
        causal: 1 to see only earlier tokens, 0 for the mean of both directions.
    """

    name, family = "sequence_lmu", "ssm"
    elastic = {"memories": (4, 8), "order": (4, 8, 12), "window": (16, 32, 64), "causal": (0, 1)}
    layout = {
        "signal.weight": "memories dim",
        "memory.weight": "dim (memories order)",
        "here.weight": "dim dim",
        "here.bias": "dim",
    }

    def __init__(self, dim: int, memories: int, order: int, window: int, causal: int) -> None:
        super().__init__()
        self.memories, self.order, self.window, self.looks_back = memories, order, window, causal
        self.a, self.b = legendre_memory(order, window)
        self.signal = nn.Linear(dim, memories, bias=False)
        self.memory = nn.Linear(memories * order, dim, bias=False)
        self.here = nn.Linear(dim, dim)

    def core(self, u: Tensor) -> Tensor:
        """Signals ``(B, L, memories)`` -> memory ``(B, L, order, memories)``."""
        batch, tokens = u.shape[:2]
        length, order = chunk_length(tokens), self.order
        chunks = math.ceil(tokens / length)
        u = F.pad(u, (0, 0, 0, chunks * length - tokens)).unflatten(1, (chunks, length))
        step = powers(self.a, length)
        inside = np.zeros((length, order, length))
        for late in range(length):
            inside[np.arange(late, length), :, np.arange(length - late)] = step[late] @ self.b
        memory = self._constant(inside.reshape(length * order, length), u) @ u  # (B, chunks, length * order, memories)
        if chunks > 1:
            between = np.zeros((chunks, order, chunks, order))
            for late, power in enumerate(powers(step[length], chunks - 2)):
                between[np.arange(late + 1, chunks), :, np.arange(chunks - 1 - late), :] = power
            ends = memory[:, :, -order:].flatten(1, 2)
            before = self._constant(between.reshape(chunks * order, chunks * order), u) @ ends
            fading = np.concatenate(step[1:])  # (length * order, order)
            memory = memory + self._constant(fading, u) @ before.unflatten(1, (chunks, order))
        return memory.reshape(batch, chunks * length, order, -1)[:, :tokens]

    def _constant(self, values: Array, like: Tensor) -> Tensor:
        return torch.as_tensor(values, dtype=like.dtype, device=like.device)

    def finish(self, x: Tensor, memory: Tensor) -> Tensor:
        """``(..., dim)`` and memory ``(..., order, memories)`` -> ``(..., dim)``."""
        return F.gelu(self.memory(memory.transpose(-2, -1).flatten(-2).to(x.dtype)) + self.here(x))

    def forward(self, x: Tensor) -> Tensor:
        return self.finish(x, both_ways(self.core, self.looks_back, full_precision(self.signal(x))))

    def initial_state(self, batch: int, context: int) -> tuple[Tensor, ...]:
        require_causal(self, self.looks_back)
        return (full_precision(self.signal.weight).new_zeros(batch, self.order, self.memories),)

    def decode(self, x: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        u = full_precision(self.signal(x)).unsqueeze(1)
        memory = self._constant(self.a, u) @ state[0] + self._constant(self.b[:, None], u) * u
        return self.finish(x, memory), memory

    @classmethod
    def state_size(cls, context: int, **sizes: int) -> int:
        return sizes["memories"] * sizes["order"]

    @classmethod
    def check(cls, shape: tuple[int, ...], **sizes: int) -> None:
        super().check(shape, **sizes)
        require(sizes["order"] <= sizes["window"], cls, "order", sizes["order"], f"at most window {sizes['window']}")

    @classmethod
    def work(cls, *extent: int, **sizes: int) -> tuple[int, int]:
        tokens, dim, order = extent[0], sizes["dim"], sizes["order"]
        memories, times = sizes["memories"], 2 - sizes["causal"]
        length = chunk_length(tokens)
        chunks = math.ceil(tokens / length)
        padded = chunks * length * order * memories
        macs, writes = padded * length, padded
        if chunks > 1:
            macs += padded * order + (chunks * order) ** 2 * memories
            writes += padded + chunks * order * memories
        maps = dim * memories * (1 + order) + dim * dim
        return tokens * maps + times * macs, tokens * (memories + 2 * dim) + times * writes
