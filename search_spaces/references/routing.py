"""Evidence for bi-level routing attention."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from search_spaces.operators.attention import MultiHeadAttention
from search_spaces.operators.routing import RoutingAttention
from search_spaces.references.dense import (
    as_heads,
    as_image,
    depthwise,
    emit,
    image,
    project,
    seeded,
    share,
    softmax_attention,
)
from search_spaces.references.registry import degenerate, reference


@reference("routing_attention")
def routing_attention(op: Any, x: Tensor) -> Tensor:
    """All pairs of tokens, those of regions that are not chosen hidden; an affinity is ranked among all regions."""
    height, width = x.shape[2:]
    rows, columns = math.ceil(height / op.regions), math.ceil(width / op.regions)
    region = torch.tensor([y // rows * op.regions + z // columns for y in range(height) for z in range(width)])
    names = sorted(set(region.tolist()))
    q, k, v = project(op, x)
    mean_q, mean_k = (torch.stack([t[:, :, region == r].mean(2).flatten(1) for r in names], 1) for t in (q, k))
    hidden = torch.full((x.shape[0], 1, height * width, height * width), -math.inf, dtype=x.dtype)
    for b in range(x.shape[0]):
        for i, name in enumerate(names):
            affinity = [float(mean_q[b, i] @ mean_k[b, j]) for j in range(len(names))]
            for j in sorted(range(len(names)), key=lambda j: -affinity[j])[: op.chosen]:
                hidden[b, 0, (region == name)[:, None] & (region == names[j])] = 0
    mixed = softmax_attention(q, k, v, hidden)
    return emit(op, mixed + as_heads(depthwise(op.local, as_image(v, x)), op.heads), x)


@degenerate("routing_attention", "all regions chosen: full attention with a positional convolution")
def all_regions() -> tuple[Tensor, Tensor]:
    op, x = seeded(RoutingAttention, dim=12, heads=3, head_dim=4, regions=3, chosen=9), image(2, 12, 7, 5)
    full = share(MultiHeadAttention(dim=12, heads=3, head_dim=4).double(), op)
    with torch.no_grad():
        op.local.weight[:, :, [0, 4]] = 0
        op.local.weight[..., [0, 4]] = 0
        full.position.weight.copy_(op.local.weight[:, :, 1:4, 1:4])  # type: ignore[operator]
        full.position.bias.copy_(op.local.bias)  # type: ignore[operator]
    return op(x), full(x)


@degenerate("routing_attention", "one region: full attention with a positional convolution")
def one_region() -> tuple[Tensor, Tensor]:
    op, x = seeded(RoutingAttention, dim=12, heads=3, head_dim=4, regions=1, chosen=1), image(2, 12, 7, 5)
    full = share(MultiHeadAttention(dim=12, heads=3, head_dim=4).double(), op)
    with torch.no_grad():
        for module in (op.local, full.position):
            module.weight.zero_(), module.bias.zero_()
    return op(x), full(x)
