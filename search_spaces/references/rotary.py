"""Evidence for attention with rotary positions."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from search_spaces.operators.rotary import RotaryAttention, rotate, rotations
from search_spaces.references.dense import emit, image, project, seeded, softmax_attention
from search_spaces.references.registry import degenerate, reference
from search_spaces.references.window import full_attention


@reference("mhsa_rope")
def rotary_attention(op: Any, x: Tensor) -> Tensor:
    """Channel pairs as complex numbers, times e^(i angle)."""
    height, width = x.shape[2:]
    q, k, v = project(op, x)
    angles = []
    for y in range(height):
        for z in range(width):
            angles.append([side * 10 ** (-j / 4) for j in range(op.head_dim // 4) for side in (y, z)])
    angle = torch.tensor(angles, dtype=torch.float64)
    turn = torch.complex(angle.cos(), angle.sin())
    q, k = (torch.view_as_real(torch.view_as_complex(t.unflatten(-1, (-1, 2))) * turn).flatten(-2) for t in (q, k))
    return emit(op, softmax_attention(q, k, v), x)


@degenerate("mhsa_rope", "one token: a linear map, as full attention")
def one_token() -> tuple[Tensor, Tensor]:
    op, x = seeded(RotaryAttention, dim=12, heads=3, head_dim=4), image(2, 12, 1, 1)
    return op(x), full_attention(op)(x)


@degenerate("mhsa_rope", "the image at another place: the same output, as only offsets count")
def elsewhere() -> tuple[Tensor, Tensor]:
    op, x = seeded(RotaryAttention, dim=12, heads=3, head_dim=8), image(2, 12, 5, 4)
    q, k, v = project(op, x)
    cos, sin = (t.reshape(9, 9, -1)[3:8, 2:6].flatten(0, 1) for t in rotations(9, 9, 8, x))
    return op(x), emit(op, softmax_attention(rotate(q, cos, sin), rotate(k, cos, sin), v), x)
