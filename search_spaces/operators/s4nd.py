"""S4ND: a state-space model of fixed dynamics along each side of the image."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from search_spaces.operators.base import Operator
from search_spaces.operators.layers import full_precision, to_image, to_tokens
from search_spaces.operators.registry import register


@register
class S4ND(Operator):
    """S4ND (Nguyen et al., arXiv 2210.06583): every channel is convolved with a kernel as large as the image, the outer product
    of one kernel a side. A side's kernel is that of a diagonal state-space model (S4D, Gu et al., arXiv 2206.11893) in both
    directions: ``sum over n of size[n] exp(-rate[n] t) cos(turn[n] t + phase[n])`` at distance t. The dynamics do not depend
    on the token; kernels follow the extent of the image, and are applied as products with Toeplitz matrices. The result plus
    a skip passes GELU and a projection.

    Args:
        dim: channels in and out.
        state: modes of each kernel.
    """

    name, role, family = "s4nd", "mixer", "ssm"
    elastic = {"state": (4, 8, 16)}
    layout = {
        "log_step": "2 dim",
        "log_rate": "2 dim state",
        "turn": "2 dim state",
        "cosine": "2 2 dim state",
        "sine": "2 2 dim state",
        "skip": "dim",
        "out.weight": "dim dim",
        "out.bias": "dim",
    }

    def __init__(self, dim: int, state: int) -> None:
        super().__init__()
        steps = torch.logspace(-2, 0, dim)[torch.arange(dim) * 7 % dim]  # reach of 1 to 100 pixels, mixed up
        self.log_step = nn.Parameter(steps.log().repeat(2, 1))
        self.log_rate = nn.Parameter(torch.full((2, dim, state), math.log(0.5)))  # S4D-Lin: -1/2 + i pi n
        self.turn = nn.Parameter((math.pi * torch.arange(state)).expand(2, dim, state).clone())
        self.cosine = nn.Parameter(torch.randn(2, 2, dim, state) * state**-0.5)  # side, direction
        self.sine = nn.Parameter(torch.randn(2, 2, dim, state) * state**-0.5)
        self.skip = nn.Parameter(torch.ones(dim))
        self.out = nn.Linear(dim, dim)

    def toeplitz(self, side: int, length: int) -> Tensor:
        """Side 0 (vertical) or 1: ``(dim, length, length)``, from the pixel of the column to that of the row."""
        step = full_precision(self.log_step[side]).exp()
        place = torch.arange(length, device=step.device, dtype=step.dtype)
        time = (step.unsqueeze(-1) * place).unsqueeze(1)  # (dim, 1, length)
        fade = (-full_precision(self.log_rate[side]).exp().unsqueeze(-1) * time).exp()
        angle = full_precision(self.turn[side]).unsqueeze(-1) * time
        forward, backward = (
            ((cosine.unsqueeze(-1) * angle.cos() + sine.unsqueeze(-1) * angle.sin()) * fade).sum(1) * step.unsqueeze(-1)
            for cosine, sine in zip(full_precision(self.cosine[side]), full_precision(self.sine[side]), strict=True)
        )
        kernel = torch.cat([backward[:, 1:].flip(1), forward], 1)  # of distances 1 - length to length - 1
        index = torch.arange(length, device=step.device)
        index = index.unsqueeze(1) - index.unsqueeze(0) + length - 1
        return kernel.index_select(1, index.flatten()).unflatten(1, (length, length))

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[2:]
        rows, columns = self.toeplitz(0, height).to(x.dtype), self.toeplitz(1, width).to(x.dtype)
        channels = x.transpose(0, 1)  # (dim, B, height, width)
        y = (channels.flatten(1, 2) @ columns.transpose(1, 2)).unflatten(1, (x.shape[0], height))
        y = (y.transpose(2, 3).flatten(1, 2) @ rows.transpose(1, 2)).unflatten(1, (x.shape[0], width))
        y = F.gelu(y.permute(1, 0, 3, 2) + x * self.skip.view(-1, 1, 1))
        return to_image(self.out(to_tokens(y)), height, width)

    @classmethod
    def work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        tokens, dim = height * width, sizes["dim"]
        return tokens * dim * (height + width + dim), 3 * tokens * dim
