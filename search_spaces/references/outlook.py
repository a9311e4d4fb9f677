"""Evidence for outlook attention."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from search_spaces.operators.outlook import OutlookAttention
from search_spaces.references.dense import image, seeded
from search_spaces.references.registry import degenerate, reference


@reference("outlook_attention")
def outlook_attention(op: Any, x: Tensor) -> Tensor:
    """By unfold and fold, one place after another."""
    height, width = x.shape[2:]
    area, inner = op.kernel**2, op.heads * op.head_dim
    values = torch.einsum("bcyx,ic->biyx", x, op.values.weight)
    patches = F.unfold(values, op.kernel, padding=op.kernel // 2, stride=op.stride).unflatten(1, (inner, area))
    mixed = torch.zeros_like(patches)
    across = -(-width // op.stride)
    for place in range(patches.shape[-1]):
        y, z = place // across * op.stride, place % across * op.stride
        mean = x[:, :, y : y + op.stride, z : z + op.stride].mean((2, 3))
        logits = (mean @ op.weights.weight.T + op.weights.bias) / op.head_dim**0.5
        weight = logits.unflatten(1, (op.heads, area, area)).exp()
        weight = weight / weight.sum(-1, keepdim=True)
        seen = patches[..., place].unflatten(1, (op.heads, op.head_dim))
        mixed[..., place] = torch.einsum("bhij,bhdj->bhdi", weight, seen).flatten(1, 2)
    folded = F.fold(mixed.flatten(1, 2), (height, width), op.kernel, padding=op.kernel // 2, stride=op.stride)
    return torch.einsum("biyx,ci->bcyx", folded, op.out.weight) + op.out.bias.reshape(-1, 1, 1)


@degenerate("outlook_attention", "constant weights: twice a zero-padded box mean of the values, times its area")
def box() -> tuple[Tensor, Tensor]:
    op, x = seeded(OutlookAttention, dim=12, heads=3, head_dim=4, kernel=3, stride=1), image(2, 12, 7, 5)
    with torch.no_grad():
        op.weights.weight.zero_(), op.weights.bias.zero_()
    values = torch.einsum("bcyx,ic->biyx", x, op.values.weight)
    mean = F.avg_pool2d(values, 3, 1, 1)
    folded = 9 * F.avg_pool2d(mean, 3, 1, 1)
    return op(x), torch.einsum("biyx,ci->bcyx", folded, op.out.weight) + op.out.bias.reshape(-1, 1, 1)


@degenerate("outlook_attention", "kernel 1, stride 1: a linear map")
def single_tokens() -> tuple[Tensor, Tensor]:
    op, x = seeded(OutlookAttention, dim=12, heads=3, head_dim=4, kernel=1, stride=1), image(2, 12, 7, 5)
    return op(x).movedim(1, -1), x.movedim(1, -1) @ op.values.weight.T @ op.out.weight.T + op.out.bias
