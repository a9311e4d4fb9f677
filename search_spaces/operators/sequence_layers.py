"""What mixers of sequences share: their base class, the causal convolution, rotary positions and the second direction."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from search_spaces.errors import SpaceError
from search_spaces.operators.base import Operator
from search_spaces.operators.layers import full_precision
from search_spaces.operators.legal import flag, positive

MASKED = -1e30  # added to scores before a softmax: finite, so that a product with 0 stays 0


class SequenceMixer(Operator):
    """Base of mixers ``(B, L, dim)`` -> ``(B, L, dim)``. Where it has a size ``causal``, 0 lets it look both ways."""

    domain, role, causal = "sequence", "mixer", True

    @classmethod
    def check(cls, shape: tuple[int, ...], **sizes: int) -> None:
        if len(shape) != 2:
            raise SpaceError(f"operator {cls.name!r}: shape {shape}; legal: (length, dim)")
        flag(cls, causal=sizes.get("causal", 1))
        positive(cls, **{size: value for size, value in sizes.items() if size != "causal"})


def require_causal(operator: Operator, causal: int) -> None:
    """Raises `SpaceError` if an operator that looks both ways is asked to decode."""
    if not causal:
        raise SpaceError(f"operator {operator.name!r}: causal 0 has no decoding form; legal: causal 1")


class CausalConv(nn.Module):
    """Depthwise convolution over the last ``kernel`` tokens, ``(B, L, C)`` -> ``(B, L, C)``."""

    def __init__(self, channels: int, kernel: int, bias: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(channels, 1, kernel).uniform_(-1, 1) * kernel**-0.5)
        self.bias = nn.Parameter(torch.zeros(channels)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        channels, _, kernel = self.weight.shape
        padded = F.pad(x.transpose(1, 2), (kernel - 1, 0))
        return F.conv1d(padded, self.weight, self.bias, groups=channels).transpose(1, 2)

    def initial_state(self, batch: int) -> Tensor:
        """``(B, kernel - 1, C)``: the inputs before the first, all zero."""
        channels, _, kernel = self.weight.shape
        return self.weight.new_zeros(batch, kernel - 1, channels)

    def decode(self, x: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
        """``(B, C)`` and the inputs before it -> its output and the inputs before the next one."""
        window = torch.cat([past, x.unsqueeze(1)], 1)
        y = (window * self.weight[:, 0].t()).sum(1)
        return (y if self.bias is None else y + self.bias), window[:, 1:]


def both_ways(core: Callable[..., Tensor], causal: int, *inputs: Tensor) -> Tensor:
    """``core`` over the tokens (axis 1) of ``inputs``; if not ``causal``, its mean with ``core`` from the other end. Both
    directions go through ``core`` as one batch: fewer calls, and some exporters want each convolution called once."""
    if causal:
        return core(*inputs)
    ahead, back = core(*(torch.cat([t, t.flip(1)]) for t in inputs)).chunk(2)
    return (ahead + back.flip(1)) / 2


def positions(x: Tensor, length: int) -> Tensor:
    """0, 1, ... ``length - 1`` in full precision on the device of ``x``."""
    return torch.arange(length, device=x.device, dtype=full_precision(x[:0]).dtype)


def rotary_angles(position: Tensor, pairs: int, base: float = 10000.0) -> Tensor:
    """Angle of each pair of channels at ``position``, on a new last axis: ``position * base^(-i / pairs)``."""
    index = torch.arange(pairs, device=position.device, dtype=position.dtype)
    return position.unsqueeze(-1) * (index * (-math.log(base) / pairs)).exp()


def rotate(x: Tensor, angles: Tensor) -> Tensor:
    """Rotary positions (Su et al., RoFormer, arXiv 2104.09864): channel i and channel i + half turn by ``angles[i]``."""
    first, second = full_precision(x).chunk(2, -1)
    cos, sin = angles.cos(), angles.sin()
    return torch.cat([first * cos - second * sin, second * cos + first * sin], -1).to(x.dtype)
