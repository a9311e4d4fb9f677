"""Slow attention over all tokens, from a table of who sees whom: what the references of attentions are written with."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

Score = Callable[[int, int, int, int], Sequence[float] | None]


def project(op: Any, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Queries, keys and values ``(B, heads, L, head_dim)`` of an operator with ``qkv``: ``(B, C, H, W)`` in."""
    weight = op.qkv.weight.unflatten(0, (3, op.heads, op.head_dim))
    bias = op.qkv.bias.unflatten(0, (3, op.heads, 1, op.head_dim))
    q, k, v = torch.einsum("bcl,phdc->pbhld", x.flatten(2), weight) + bias.unsqueeze(1)
    return q, k, v


def emit(op: Any, mixed: Tensor, x: Tensor) -> Tensor:
    """Heads ``(B, heads, L, head_dim)`` -> the output ``(B, C, H, W)``, by ``out``."""
    weight = op.out.weight.unflatten(1, (op.heads, op.head_dim))
    y = torch.einsum("bhld,chd->bcl", mixed, weight) + op.out.bias.unsqueeze(-1)
    return y.reshape(x.shape[0], -1, *x.shape[2:])


def score_table(height: int, width: int, heads: int, score: Score) -> Tensor:
    """``score(y, x, y', x')`` for every query and key: what each head adds, or None for a key that is not seen.
    ``(heads, L, L)``."""
    places = [(y, x) for y in range(height) for x in range(width)]
    hidden = [-math.inf] * heads
    rows = [[hidden if (s := score(*a, *b)) is None else s for b in places] for a in places]
    return torch.tensor(rows, dtype=torch.float64).permute(2, 0, 1)


def softmax_attention(q: Tensor, k: Tensor, v: Tensor, added: Tensor | float = 0.0) -> Tensor:
    """Of all tokens to all tokens, with ``added`` scores."""
    scores = torch.einsum("bhid,bhjd->bhij", q, k) / math.sqrt(q.shape[-1]) + added
    weight = (scores - scores.amax(-1, keepdim=True)).exp()
    return torch.einsum("bhij,bhjd->bhid", weight / weight.sum(-1, keepdim=True), v)


def dense(op: Any, x: Tensor, score: Score) -> Tensor:
    """The whole operator: projections, attention with ``score`` (see `score_table`), output."""
    added = score_table(x.shape[2], x.shape[3], op.heads, score)
    return emit(op, softmax_attention(*project(op, x), added), x)


def table_entry(table: Tensor) -> Callable[[int, int], list[float]]:
    """A table of relative positions ``(heads, span, span)`` as a function of the two offsets, cut off at its edge."""
    entries, reach = table.permute(1, 2, 0).tolist(), table.shape[1] // 2

    def entry(down: int, across: int) -> list[float]:
        return entries[min(max(down, -reach), reach) + reach][min(max(across, -reach), reach) + reach]  # type: ignore[no-any-return]

    return entry


def depthwise(conv: Any, x: Tensor) -> Tensor:
    """A depthwise convolution by unfolding: ``(B, C, H, W)`` -> the same shape."""
    kernel = conv.weight.shape[-1]
    patches = torch.nn.functional.unfold(x, kernel, padding=kernel // 2).unflatten(1, (x.shape[1], -1))
    return (patches * conv.weight.flatten(1).unsqueeze(-1)).sum(2).reshape(x.shape) + conv.bias.reshape(-1, 1, 1)


def as_image(heads: Tensor, x: Tensor) -> Tensor:
    """``(B, heads, L, head_dim)`` -> ``(B, inner, H, W)``, with the sides of ``x``."""
    return heads.transpose(2, 3).flatten(1, 2).reshape(x.shape[0], -1, *x.shape[2:])


def as_heads(image: Tensor, heads: int) -> Tensor:
    """The inverse of `as_image`."""
    return image.flatten(2).unflatten(1, (heads, -1)).transpose(2, 3)


def image(*shape: int, seed: int = 0) -> Tensor:
    """A random float64 image."""
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def seeded(op: type, seed: int = 0, **sizes: int) -> Any:
    """The operator in float64 with seeded weights, none of them zero."""
    torch.manual_seed(seed)
    module = op(**sizes).double().eval()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return module


def share(target: Any, source: Any) -> Any:
    """Copies the parameters of ``source`` into those of the same name in ``target``, which is returned."""
    mine = dict(target.named_parameters())
    with torch.no_grad():
        for name, parameter in source.named_parameters():
            if name in mine:
                mine[name].copy_(parameter)
    return target
