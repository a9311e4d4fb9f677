"""Gated attention that is quadratic inside windows and linear between them."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from search_spaces.operators.attention_parts import summed
from search_spaces.operators.attention_projections import CheckedMixer
from search_spaces.operators.groups import windows
from search_spaces.operators.layers import full_precision, to_image, to_tokens
from search_spaces.operators.registry import register


@register
class JointAttention(CheckedMixer):
    """Joint local and global gated attention of MossFormer (Zhao & Ma, arXiv 2302.11824; the mixed-chunk attention of FLASH,
    Hua et al., arXiv 2202.10447), on images: one head, whose weights inside a window are squared ReLUs of products, plus
    linear attention over the whole image. It acts on gate and values alike, and each gates the other.

    All four kinds of queries and keys are one shared map, scaled and shifted by channel. Sums are divided by the number
    of tokens that they run over.

    Args:
        dim: channels in and out.
        expansion: channels of gate and values over ``dim``.
        key_dim: channels of queries and keys.
        window: side of a window.
    """

    name, family = "joint_attention", "attention"
    elastic = {"expansion": (1, 2), "key_dim": (8, 16), "window": (4, 7)}
    layout = {
        "gate_values.weight": "(2 inner) dim",
        "gate_values.bias": "(2 inner)",
        "shared.weight": "key_dim dim",
        "shared.bias": "key_dim",
        "scale": "4 key_dim",
        "offset": "4 key_dim",
        "out.weight": "dim inner",
        "out.bias": "dim",
    }

    def __init__(self, dim: int, expansion: int, key_dim: int, window: int) -> None:
        super().__init__()
        self.window = window
        self.gate_values = nn.Linear(dim, 2 * dim * expansion)
        self.shared = nn.Linear(dim, key_dim)
        self.scale = nn.Parameter(torch.ones(4, key_dim))
        self.offset = nn.Parameter(torch.zeros(4, key_dim))
        self.out = nn.Linear(dim * expansion, dim)

    def near(self, q: Tensor, k: Tensor, both: Tensor) -> Tensor:
        """Inside windows: ``relu(q k^T / sqrt(d))^2`` over the window's own tokens; images ``(B, H, W, C)``."""
        groups = windows(q.shape[1], q.shape[2], self.window)
        present = groups.split(torch.ones_like(q[:1, :, :, :1]))  # padding is no token
        weights = F.relu((groups.split(q) * q.shape[-1] ** -0.5) @ groups.split(k).transpose(-2, -1)).square()
        weights = weights * (present / present.sum(2, keepdim=True)).transpose(-2, -1)
        return groups.join(weights @ groups.split(both))

    def far(self, q: Tensor, k: Tensor, both: Tensor) -> Tensor:
        """Over the whole image: ``q (k^T v) / tokens``; tokens ``(B, L, C)``."""
        return q @ (k.transpose(-2, -1) @ both / q.shape[1])

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[2:]
        tokens = to_tokens(x)
        both = full_precision(F.silu(self.gate_values(tokens)))
        shared = full_precision(F.silu(self.shared(tokens)))
        q, k, far_q, far_k = (shared * self.scale[i] + self.offset[i] for i in range(4))
        mixed = self.near(*(t.unflatten(1, (height, width)) for t in (q, k, both))).flatten(1, 2)
        mixed_gate, mixed_values = (mixed + self.far(far_q, far_k, both)).chunk(2, -1)
        gate, values = both.chunk(2, -1)
        joined = mixed_gate * values * (mixed_values * gate).sigmoid()
        return to_image(self.out(joined.to(x.dtype)), height, width)

    @classmethod
    def axes(cls, **sizes: int) -> dict[str, int]:
        return {**sizes, "inner": sizes["dim"] * sizes["expansion"]}

    @classmethod
    def work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        tokens, dim, key_dim = height * width, sizes["dim"], sizes["key_dim"]
        inner, groups = dim * sizes["expansion"], windows(height, width, sizes["window"])
        size = math.prod(groups.shape)
        covered = groups.count * size
        maps = tokens * dim * (3 * inner + key_dim), tokens * (2 * inner + key_dim + dim)
        near = covered * size * (key_dim + 2 * inner), covered * (size + 2 * inner)
        far = 4 * tokens * key_dim * inner, 2 * inner * (key_dim + tokens)
        return summed(maps, near, far)
