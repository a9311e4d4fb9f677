"""Evidence for Nystrom approximations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from search_spaces.references.attention_projections import (
    attention_map,
    cells,
    depthwise,
    example,
    grid_means,
    head,
    image_of,
    linear,
    made,
    mhsa_like,
    qkv,
    tokens_of,
)
from search_spaces.references.registry import degenerate, reference


def _gaussian(a: Tensor, b: Tensor) -> Tensor:
    """Pair by pair from the difference itself."""
    apart = (a[:, :, None] - b[:, None]).pow(2).sum(-1)
    return torch.exp(-apart / (2 * a.shape[-1] ** 0.5))


def _iterated(a: Tensor, start: Tensor, iterations: int, better: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """The iterate ``v f(s) u^T`` that belongs to ``a = u s v^T`` and the start ``start * a^T``: an iteration in matrices is
    the same iteration in each singular value."""
    u, s, vh = torch.linalg.svd(a)
    x = start[:, None] * s
    for _ in range(iterations):
        x = better(x, s)
    return vh.mT @ (x.unsqueeze(-1) * u.mT)


@reference("soft_attention")
def soft_attention(op: Any, x: Tensor) -> Tensor:
    """Head by head, the map of all pairs of tokens; Newton's iterates by singular values."""
    q, v = linear(op.query_value, tokens_of(x)).chunk(2, -1)
    landmarks = grid_means(image_of(q, *x.shape[2:]), op.side)
    parts = []
    for index in range(op.heads):
        a, b = head(q, op.heads, index), head(landmarks, op.heads, index)
        between, to = _gaussian(b, b), _gaussian(a, b)
        start = 2 / between.sum(-1).amax(-1) ** 2
        inverse = _iterated(between, start, op.iterations, lambda x, s: 2 * x - s * x * x)
        if op.normalised:
            root = torch.diag_embed(between.sum(-1) ** -0.5)
            inverse = root @ inverse @ root
        parts.append((to @ inverse @ to.mT) @ head(v, op.heads, index))
    return image_of(linear(op.out, torch.cat(parts, -1)), *x.shape[2:])


@reference("nystrom_attention")
def nystrom_attention(op: Any, x: Tensor) -> Tensor:
    """Head by head, the map of all pairs of tokens; the iterates by singular values."""
    tokens = tokens_of(x)
    q, k, v = qkv(op, tokens)
    segments = cells(tokens.shape[1], min(op.landmarks, tokens.shape[1]))
    few_q, few_k = (torch.stack([t[:, s].mean(1) for s in segments], 1) for t in (q, k))
    parts = []
    for index in range(op.heads):
        a, b, c, d, e = (head(t, op.heads, index) for t in (q, k, v, few_q, few_k))
        between = attention_map(d, e)
        better = lambda x, s: x * (13 - s * x * (15 - s * x * (7 - s * x))) / 4  # noqa: E731
        inverse = _iterated(between, 1 / between.sum(1).amax(-1), op.iterations, better)
        local = depthwise(c.mT.unsqueeze(-1), op.local.weight[index].expand(c.shape[-1], -1, -1, -1)).squeeze(-1).mT
        parts.append((attention_map(a, e) @ inverse @ attention_map(d, b)) @ c + local)
    return image_of(linear(op.out, torch.cat(parts, -1)), *x.shape[2:])


def _gaussian_example(scale: float, **sizes: int) -> tuple[Any, Tensor, list[Tensor], list[Tensor]]:
    """An operator with queries that differ by ``scale``, its input, and for every head the dense map and the values."""
    op, x = made("soft_attention", dim=12, heads=3, head_dim=8, **sizes), example(1, 2, 12, 5, 7)
    op.query_value.weight.data[:24] *= scale
    q, v = (x.flatten(2).mT @ op.query_value.weight.mT + op.query_value.bias).chunk(2, -1)
    maps = [_gaussian(t, t) for t in q.chunk(3, -1)]
    return op, x, maps, list(v.chunk(3, -1))


def _finished(op: Any, parts: list[Tensor]) -> Tensor:
    return (torch.cat(parts, -1) @ op.out.weight.mT + op.out.bias).mT.unflatten(-1, (5, 7))


@degenerate("soft_attention", "a landmark a token: the Gaussian kernel of all pairs")
def every_landmark() -> tuple[Tensor, Tensor]:
    op, x, maps, values = _gaussian_example(5.0, side=7, iterations=30, normalised=0)
    return op(x), _finished(op, [s @ v for s, v in zip(maps, values, strict=True)])


@degenerate("soft_attention", "a landmark a token, normalised: by an exact inverse")
def every_landmark_normalised() -> tuple[Tensor, Tensor]:
    op, x, maps, values = _gaussian_example(5.0, side=7, iterations=30, normalised=1)
    roots = [torch.diag_embed(s.sum(-1) ** -0.5) for s in maps]
    parts = [s @ r @ torch.linalg.solve(s, r @ s @ v) for s, r, v in zip(maps, roots, values, strict=True)]
    return op(x), _finished(op, parts)


def _orthogonal(landmarks: int) -> tuple[Any, Tensor]:
    """Nystrom attention of orthonormal tokens that are queries and keys, so that the map of all pairs has an inverse."""
    op = made("nystrom_attention", dim=16, heads=1, head_dim=16, landmarks=landmarks, iterations=20, kernel=3)
    op.local.weight.data.zero_()
    op.qkv.weight.data[:32] = 4 * torch.eye(16).repeat(2, 1)
    op.qkv.bias.data[:32].zero_()
    return op, torch.linalg.qr(example(1, 2, 16, 16)).Q.unflatten(-1, (4, 4))


@degenerate("nystrom_attention", "a landmark a token: mhsa, to the tolerance of the pseudo-inverse")
def every_segment() -> tuple[Tensor, Tensor]:
    op, x = _orthogonal(16)
    return op(x), mhsa_like(op, x)


@degenerate("soft_attention", "the error to the dense map falls with the number of landmarks")
def soft_error_falls() -> tuple[Tensor, Tensor]:
    errors = []
    for side in (1, 2, 3, 5, 7):
        op, x, maps, values = _gaussian_example(1.0, side=side, iterations=30, normalised=0)
        errors.append((op(x) - _finished(op, [s @ v for s, v in zip(maps, values, strict=True)])).norm())
    return torch.stack(errors), torch.stack(errors).sort(descending=True).values


@degenerate("nystrom_attention", "the error to mhsa falls with the number of landmarks")
def nystrom_error_falls() -> tuple[Tensor, Tensor]:
    errors = []
    for landmarks in (1, 2, 4, 8, 16):
        op, x = _orthogonal(landmarks)
        errors.append((op(x) - mhsa_like(op, x)).norm())
    return torch.stack(errors), torch.stack(errors).sort(descending=True).values
