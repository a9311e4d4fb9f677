"""Evidence for S4ND."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from search_spaces.operators.s4nd import S4ND
from search_spaces.references.registry import degenerate, reference
from search_spaces.references.slow import gelu


def _recur(x: Tensor, op: Any, side: int) -> Tensor:
    """Along the last axis of ``(B, dim, ., length)`` both ways, step by step with complex states."""
    step = op.log_step[side].exp()
    pole = torch.complex(-op.log_rate[side].exp(), op.turn[side])
    turn = (pole * step[:, None]).exp()  # (dim, state)
    y = torch.zeros_like(x)
    for direction, order in enumerate((range(x.shape[-1]), range(x.shape[-1] - 1, -1, -1))):
        read = torch.complex(op.cosine[side, direction], -op.sine[side, direction]) * step[:, None]
        state = torch.zeros(*x.shape[:3], turn.shape[1], dtype=pole.dtype)
        for t in order:
            if direction == 1:  # a pixel counts for the earlier ones only
                y[..., t] += (read[:, None] * state * turn[:, None]).real.sum(-1)
            state = state * turn[:, None] + x[..., t, None]
            if direction == 0:
                y[..., t] += (read[:, None] * state).real.sum(-1)
    return y


@reference("s4nd")
def s4nd(op: Any, x: Tensor) -> Tensor:
    """A linear recurrence along the rows, then one along the columns."""
    y = _recur(_recur(x, op, 1).mT, op, 0).mT
    y = gelu(y + op.skip[:, None, None] * x)
    return torch.einsum("bchw,oc->bohw", y, op.out.weight) + op.out.bias[:, None, None]


@degenerate("s4nd", "real modes, one side: S4D, the convolution with a sum of exponentials, by Fourier transform")
def one_side() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    op = S4ND(dim=6, state=3).double()
    op.turn.data.zero_()
    op.cosine.data[:, 1] = 0  # forward alone
    op.out.weight.data, op.out.bias.data = torch.eye(6).double(), torch.zeros(6).double()
    x = torch.randn(2, 6, 1, 50, dtype=torch.float64)
    times = torch.arange(50) * op.log_step.exp()[:, :, None, None]
    kernels = ((-op.log_rate.exp()[..., None] * times).exp() * op.cosine[:, 0, :, :, None]).sum(2)
    kernel = kernels[1] * kernels[0, :, :1] * op.log_step.exp().prod(0)[:, None]  # the other side is one pixel long
    spectrum = torch.fft.rfft(x[:, :, 0], 100) * torch.fft.rfft(kernel, 100)
    return op(x), gelu(torch.fft.irfft(spectrum, 100)[..., :50] + op.skip[:, None] * x[:, :, 0]).unsqueeze(2)


@degenerate("s4nd", "modes that fade at once: a map of each pixel alone")
def pointwise() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    op = S4ND(dim=6, state=3).double()
    op.log_rate.data.fill_(12.0)
    x = torch.randn(2, 6, 7, 5, dtype=torch.float64)
    gain = (op.cosine[:, 0].sum(-1) * op.log_step.exp()).prod(0) + op.skip
    return op(x), op.out(gelu(x.movedim(1, -1) * gain)).movedim(-1, 1)
