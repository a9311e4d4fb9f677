"""Manhattan retention: softmax attention that fades with the distance between pixels."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from search_spaces.operators.attention_projections import LocalMixer
from search_spaces.operators.layers import full_precision
from search_spaces.operators.registry import register


def distances(length: int, like: Tensor) -> Tensor:
    """``(length, length)``: how far positions lie apart."""
    place = torch.arange(length, device=like.device, dtype=like.dtype)
    return (place.unsqueeze(0) - place.unsqueeze(1)).abs()


@register
class ManhattanRetention(LocalMixer):
    """Manhattan self-attention of RMT (Fan et al., arXiv 2309.11523): the softmax map times ``gamma^(|dx| + |dy|)``, beside a
    depthwise convolution of the values. Every head has its own ``gamma = exp(-exp(log_rate))``, which is learned here and
    starts at the fixed values of retention, ``1 - 2^(-2 - head/2)``.

    Args:
        axial: 1 runs along rows and then along columns, each with its own softmax; 0 is the full map.
    """

    name, flags = "manhattan_retention", ("axial",)
    elastic = {**LocalMixer.elastic, "axial": (0, 1)}
    layout = {**LocalMixer.layout, "log_rate": "heads"}

    def __init__(self, dim: int, heads: int, head_dim: int, kernel: int, axial: int) -> None:
        super().__init__(dim, heads, head_dim, kernel)
        self.axial = axial
        initial = [math.log(-math.log(1 - 2 ** (-2 - head / 2))) for head in range(heads)]
        self.log_rate = nn.Parameter(torch.tensor(initial))

    def core(self, q: Tensor, k: Tensor, v: Tensor, height: int, width: int) -> Tensor:
        like = full_precision(self.log_rate)
        down, right = distances(height, like), distances(width, like)
        if not self.axial:
            apart = down.unsqueeze(1).unsqueeze(3) + right.unsqueeze(0).unsqueeze(2)  # (H, W, H, W)
            return self.fade(q, k, v, apart.flatten(2).flatten(0, 1))
        q, k, v = (t.unflatten(2, (height, width)) for t in (q, k, v))
        v = self.fade(q, k, v, right)
        q, k, v = (t.transpose(2, 3) for t in (q, k, v))
        v = self.fade(q, k, v, down)
        return v.transpose(2, 3).flatten(2, 3)

    def fade(self, q: Tensor, k: Tensor, v: Tensor, apart: Tensor) -> Tensor:
        """Attention along the last but one axis of ``(B, heads, ..., L, d)``, which fades with the distances ``(L, L)``."""
        rate = full_precision(self.log_rate).exp().view(-1, *(1,) * (q.ndim - 2))
        decay = (-rate * apart).exp().to(q.dtype)  # (heads, ..., L, L)
        scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1)
        return (scores.softmax(-1) * decay) @ v

    @classmethod
    def core_work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        tokens, heads, inner = height * width, sizes["heads"], sizes["heads"] * sizes["head_dim"]
        keys, passes = (height + width, 2) if sizes["axial"] else (tokens, 1)
        return 2 * tokens * keys * inner, tokens * (keys * heads + passes * inner)
