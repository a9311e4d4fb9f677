"""Evidence for the MambaVision mixer."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from search_spaces.operators.mambavision import MambaVision, MambaVisionSSD
from search_spaces.references import mamba_mixers, ssd_mixers
from search_spaces.references.registry import degenerate, reference
from search_spaces.references.slow import swish


def _branches(op: Any, x: Tensor) -> tuple[Tensor, Tensor]:
    """Both branches after convolution: ``(B, L, inner)``, the taps as shifted copies."""
    tokens = x.flatten(2).transpose(1, 2) @ op.branches.weight.T
    kernel = op.conv.weight[:, 0]
    side = kernel.shape[1] // 2
    padded = F.pad(tokens, (0, 0, side, side))
    y = sum(padded[:, i : i + tokens.shape[1]] * kernel[:, i] for i in range(kernel.shape[1]))
    both = swish(torch.as_tensor(y))
    return both[..., : both.shape[-1] // 2], both[..., both.shape[-1] // 2 :]


def _finish(op: Any, scanned: Tensor, beside: Tensor, x: Tensor) -> Tensor:
    inner = scanned.shape[-1]
    y = scanned @ op.out.weight[:, :inner].T + beside @ op.out.weight[:, inner:].T
    return y.transpose(1, 2).unflatten(2, x.shape[2:])


@reference("mambavision")
def mambavision(op: Any, x: Tensor) -> Tensor:
    """Token after token."""
    u, beside = _branches(op, x)
    return _finish(op, mamba_mixers.select(op.selection, u, 0, list(range(u.shape[1]))), beside, x)


@reference("mambavision_ssd")
def mambavision_ssd(op: Any, x: Tensor) -> Tensor:
    """Token after token."""
    u, beside = _branches(op, x)
    values = u.unflatten(-1, (op.heads, op.head_dim))
    b, c = (u @ op.maps.weight.T).chunk(2, -1)
    size = (1 + (u @ op.step.weight.T + op.step.bias).exp()).log()
    order = list(range(u.shape[1]))
    y = ssd_mixers.recurrence(order, values * size[..., None], -size * op.log_rate.exp(), b, c) + op.skip * values
    return _finish(op, y.flatten(2), beside, x)


def _made(kind: type, **sizes: int) -> tuple[Any, Tensor]:
    torch.manual_seed(0)
    return kind(dim=8, state=3, kernel=3, **sizes).double(), torch.randn(2, 8, 5, 7, dtype=torch.float64)


@degenerate("mambavision", "not causal: an output depends on the next token, and on no token beyond the kernel's half")
def not_causal() -> tuple[Tensor, Tensor]:
    op, x = _made(MambaVision, expansion=1, rank=2)
    place = 17
    with torch.enable_grad():
        x = x.requires_grad_()
        (slope,) = torch.autograd.grad(op(x).flatten(2)[:, :, place].square().sum(), x)
    reached = (slope.flatten(2).abs().amax((0, 1)) > 0).double()
    return reached, (torch.arange(35) <= place + 1).double()


def _plain(op: Any, x: Tensor) -> Tensor:
    both = F.silu(op.conv(op.branches(x.flatten(2).transpose(1, 2)).transpose(1, 2))).transpose(1, 2)
    return op.out(both).transpose(1, 2).unflatten(2, x.shape[2:])


@degenerate("mambavision", "no input map and a skip of 1: both branches are plain convolutions")
def plain() -> tuple[Tensor, Tensor]:
    op, x = _made(MambaVision, expansion=2, rank=2)
    op.selection.maps.data[:, 0] = 0
    return op(x), _plain(op, x)


@degenerate("mambavision_ssd", "no input map and a skip of 1: both branches are plain convolutions")
def plain_ssd() -> tuple[Tensor, Tensor]:
    op, x = _made(MambaVisionSSD, heads=2, head_dim=4)
    op.maps.weight.data[:3] = 0
    return op(x), _plain(op, x)
