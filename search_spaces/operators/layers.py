"""Small shared layers: the channel norm, the image-to-token views and the residual shell."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class ChannelNorm(nn.Module):
    """LayerNorm over the channels of ``(B, C, H, W)`` (Ba et al., arXiv 1607.06450). A free view in channels-last."""

    def __init__(self, dim: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(dim))
        self.bias = nn.Parameter(torch.zeros(dim))

    def forward(self, x: Tensor) -> Tensor:
        x = x.permute(0, 2, 3, 1)
        return F.layer_norm(x, self.weight.shape, self.weight, self.bias, self.eps).permute(0, 3, 1, 2)


class RMSNorm(nn.Module):
    """Root-mean-square norm over the last axis (Zhang & Sennrich, arXiv 1910.07467)."""

    def __init__(self, dim: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(dim))

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.eps) * self.weight


def to_tokens(x: Tensor) -> Tensor:
    """``(B, C, H, W)`` -> ``(B, H*W, C)``, row by row."""
    return x.flatten(2).transpose(1, 2)


def to_image(tokens: Tensor, height: int, width: int) -> Tensor:
    """``(B, H*W, C)`` -> ``(B, C, H, W)``: the inverse of `to_tokens`."""
    return tokens.transpose(1, 2).reshape(tokens.shape[0], tokens.shape[2], height, width)


class Residual(nn.Module):
    """Pre-norm residual shell: ``x + scale * op(norm(x))`` with LayerScale (Touvron et al., arXiv 2103.17239)."""

    def __init__(self, op: nn.Module, dim: int, prenorm: str, initial_scale: float = 0.3) -> None:
        super().__init__()
        norms = {"layer": ChannelNorm, "batch": nn.BatchNorm2d}
        self.norm = norms[prenorm](dim)
        self.op = op
        self.scale = nn.Parameter(torch.full((dim, 1, 1), initial_scale))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.scale * self.op(self.norm(x))


class SequenceResidual(nn.Module):
    """The same shell over ``(B, L, C)`` with an RMSNorm, and its form for decoding."""

    def __init__(self, op: nn.Module, dim: int, initial_scale: float = 0.3) -> None:
        super().__init__()
        self.norm = RMSNorm(dim)
        self.op = op
        self.scale = nn.Parameter(torch.full((dim,), initial_scale))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.scale * self.op(self.norm(x))

    def initial_state(self, batch: int, context: int) -> tuple[Tensor, ...]:
        state: tuple[Tensor, ...] = self.op.initial_state(batch, context)  # type: ignore[operator]
        return state

    def decode(self, x: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        y, *after = self.op.decode(self.norm(x), *state)  # type: ignore[operator]
        return x + self.scale * y, *after


def full_precision(x: Tensor) -> Tensor:
    """``x`` in float32 where it is in half precision (decays, exponentials and denominators), else as it is."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
