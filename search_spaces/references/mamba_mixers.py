"""Evidence for Mamba over images."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from search_spaces.operators.mamba import selective_scan
from search_spaces.operators.mamba_mixers import Mamba, MambaND
from search_spaces.operators.ssd import ssd_scan
from search_spaces.references.registry import degenerate, reference
from search_spaces.references.slow import convolve_depthwise, swish
from search_spaces.references.ssd_mixers import token_orders


def recurrence(order: list[int], u: Tensor, step: Tensor, a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """``h = exp(step[t] a) h + step[t] u[t] b[t]``, ``y[t] = c[t] h``, token after token. Shapes as `selective_scan`."""
    state = torch.zeros(u.shape[0], *a.shape, dtype=u.dtype)
    y = torch.zeros_like(u)
    for t in order:
        state = (step[:, t, :, None] * a).exp() * state + (step[:, t] * u[:, t])[:, :, None] * b[:, t, None]
        y[:, t] = (state * c[:, t, None]).sum(-1)
    return y


def select(op: Any, u: Tensor, scan: int, order: list[int]) -> Tensor:
    """A `Selection` in one direction, with its skip."""
    step = (1 + (u @ op.narrow[scan].T @ op.widen[scan].T + op.step_bias[scan]).exp()).log()
    b, c = (u @ op.maps[scan, part].T for part in (0, 1))
    return recurrence(order, u, step, -op.log_rate[scan].exp(), b, c) + op.skip * u


def _mamba(op: Any, x: Tensor, orders: list[list[int]]) -> Tensor:
    values, gate = torch.einsum("bchw,oc->bohw", x, op.values_gate.weight).chunk(2, 1)
    u = swish(convolve_depthwise(values, op.conv.weight, op.conv.bias)).flatten(2).transpose(1, 2)
    mixed = sum((select(op.selection, u, scan, order) for scan, order in enumerate(orders)), torch.zeros_like(u))
    y = mixed.transpose(1, 2).unflatten(2, x.shape[2:]) / len(orders) * swish(gate)
    return torch.einsum("bchw,oc->bohw", y, op.out.weight)


@reference("mamba")
def mamba(op: Any, x: Tensor) -> Tensor:
    return _mamba(op, x, token_orders(op.scans, *x.shape[2:]))


@reference("mamba_nd")
def mamba_nd(op: Any, x: Tensor) -> Tensor:
    return _mamba(op, x, [token_orders(4, *x.shape[2:])[op.order]])


def _inputs(tokens: int, channels: int, state: int) -> list[Tensor]:
    torch.manual_seed(0)
    u, step = (
        torch.randn(2, tokens, channels, dtype=torch.float64),
        torch.rand(2, tokens, channels, dtype=torch.float64),
    )
    b, c = torch.randn(2, 2, tokens, state, dtype=torch.float64)
    return [u, 3 * step, -torch.arange(1.0, state + 1, dtype=torch.float64).repeat(channels, 1), b, c]


def _pair(first: type, second: type, one: dict[str, int], other: dict[str, int]) -> tuple[Any, Any]:
    torch.manual_seed(0)
    sizes = {"dim": 6, "expansion": 2, "state": 4, "rank": 3}
    return first(**sizes, **one).double(), second(**sizes, **other).double()


@degenerate("mamba", "two levels: the recurrence")
def levels() -> tuple[Tensor, Tensor]:
    inputs = _inputs(150, 5, 4)
    return selective_scan(*inputs), recurrence(list(range(150)), *inputs)


@degenerate("mamba", "one rate and step for all channels: state-space duality with one head")
def duality() -> tuple[Tensor, Tensor]:
    u, step, a, b, c = _inputs(90, 5, 4)
    step, a = step[..., :1].expand_as(step), torch.full_like(a, -2.0)
    wanted = ssd_scan((step * u).unsqueeze(2), -2.0 * step[..., :1], b, c)
    return selective_scan(u, step, a, b, c), wanted.squeeze(2)


@degenerate("mamba", "state n: the leading n of the largest state, the others being read with zero")
def leading_states() -> tuple[Tensor, Tensor]:
    u, step, a, b, c = _inputs(70, 5, 6)
    unread = torch.cat([c[..., :2], torch.zeros_like(c[..., 2:])], -1)
    return selective_scan(u, step, a[:, :2], b[..., :2], c[..., :2]), selective_scan(u, step, a, b, unread)


@degenerate("mamba", "1 direction: Mamba-ND in order 0")
def one_direction() -> tuple[Tensor, Tensor]:
    op, nd = _pair(Mamba, MambaND, {"scans": 1}, {"order": 0})
    nd.load_state_dict(op.state_dict())
    x = torch.randn(2, 6, 7, 9, dtype=torch.float64)
    return op(x), nd(x)


@degenerate("mamba", "a 1 x N image: 4 directions with the parameters of 2")
def one_row() -> tuple[Tensor, Tensor]:
    two, four = _pair(Mamba, Mamba, {"scans": 2}, {"scans": 4})
    state = two.state_dict()
    every = {
        n: t.repeat(2, *(1,) * (t.ndim - 1)) if Mamba.layout[n].startswith("scans") else t for n, t in state.items()
    }
    four.load_state_dict(every)
    x = torch.randn(1, 6, 1, 40, dtype=torch.float64)
    return four(x), two(x)


@degenerate("mamba_nd", "a 1 x N image: columns are rows")
def columns() -> tuple[Tensor, Tensor]:
    rows, columns = _pair(MambaND, MambaND, {"order": 1}, {"order": 3})
    columns.load_state_dict(rows.state_dict())
    x = torch.randn(1, 6, 1, 30, dtype=torch.float64)
    return columns(x), rows(x)


@degenerate("mamba_nd", "the orders permute with the same weights: the image turned by half a turn is read backward")
def backward() -> tuple[Tensor, Tensor]:
    forward, backward = _pair(MambaND, MambaND, {"order": 2}, {"order": 3})
    forward.conv.weight.data.add_(forward.conv.weight.data.flip(2, 3))  # a kernel that half a turn leaves alone
    backward.load_state_dict(forward.state_dict())
    x = torch.randn(1, 6, 5, 8, dtype=torch.float64)
    return backward(x), forward(x.flip(2, 3)).flip(2, 3)
