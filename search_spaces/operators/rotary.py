"""Softmax attention with two-dimensional rotary positions."""

from __future__ import annotations

import torch
from torch import Tensor

from search_spaces.operators.attention_parts import HeadAttention, attend, from_heads, summed, to_heads, work_within
from search_spaces.operators.groups import whole
from search_spaces.operators.layers import full_precision
from search_spaces.operators.legal import require
from search_spaces.operators.registry import register


def rotations(height: int, width: int, head_dim: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """Cosines and sines ``(H * W, head_dim / 2)`` of the angles by which the channel pairs of each token turn.

    Pair 2j turns with the row and pair 2j + 1 with the column, by 10^(-j/4) a step whatever the head's width: so a narrower
    head is the first part of a wider one. At 32 channels these are the frequencies of a base of 100.
    """
    like = full_precision(like)
    down, across = (torch.arange(side, device=like.device, dtype=like.dtype) for side in (height, width))
    speed = 10 ** (-torch.arange(head_dim // 4, device=like.device, dtype=like.dtype) / 4)
    rows = (down.unsqueeze(1) * speed).unsqueeze(1).expand(-1, width, -1)
    columns = (across.unsqueeze(1) * speed).unsqueeze(0).expand(height, -1, -1)
    angles = torch.stack((rows, columns), -1).reshape(height * width, -1)
    return angles.cos(), angles.sin()


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turns the pairs of neighbouring channels of ``x`` ``(..., tokens, channels)``."""
    even, odd = x[..., 0::2], x[..., 1::2]
    return torch.stack((even * cos - odd * sin, even * sin + odd * cos), -1).flatten(-2)


@register
class RotaryAttention(HeadAttention):
    """Softmax attention over the whole image whose queries and keys are turned by their row and column (Su et al., RoPE,
    arXiv 2104.09864; in two dimensions Heo et al., arXiv 2403.13298), so that scores depend on relative positions only.
    It has no table and works at any resolution.

    Args:
        dim: channels in and out.
        heads: number of heads.
        head_dim: channels of a head, a multiple of 4.
    """

    name = "mhsa_rope"

    def mix(self, qkv: Tensor) -> Tensor:
        height, width = qkv.shape[1:3]
        q, k, v = (to_heads(t, self.head_dim) for t in qkv.flatten(1, 2).unsqueeze(1).chunk(3, -1))
        cos, sin = (t.to(qkv.dtype) for t in rotations(height, width, self.head_dim, qkv))
        mixed = attend(rotate(q, cos, sin), rotate(k, cos, sin), v)
        return from_heads(mixed).reshape(len(qkv), height, width, -1)

    @classmethod
    def check(cls, shape: tuple[int, ...], **sizes: int) -> None:
        super().check(shape, **sizes)
        require(sizes["head_dim"] % 4 == 0, cls, "head_dim", sizes["head_dim"], "multiples of 4")

    @classmethod
    def work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        within = work_within(whole(height, width), sizes["heads"], sizes["head_dim"])
        return summed(cls.projections(height * width, **sizes), within)
