"""Evidence for the mixers by state-space duality."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from search_spaces.operators.ssd import ssd_scan
from search_spaces.operators.ssd_mixers import SSD, GatedConv, NonCausalSSD
from search_spaces.references.registry import degenerate, reference
from search_spaces.references.slow import convolve_depthwise, swish

Recurrence = tuple[Tensor, Tensor, Tensor, Tensor]


def token_orders(scans: int, height: int, width: int) -> list[list[int]]:
    """Numbers of the tokens in the order of each scan: rows, rows backward, columns, columns backward."""
    rows = list(range(height * width))
    columns = [i * width + j for j in range(width) for i in range(height)]
    return [rows, rows[::-1], columns, columns[::-1]][:scans]


def recurrence(order: list[int], x: Tensor, log_decay: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """``h = exp(log_decay[t]) h + b[t] x[t]``, ``y[t] = c[t] h``, token after token in ``order``. Shapes as `ssd_scan`."""
    state = torch.zeros(x.shape[0], x.shape[2], x.shape[3], b.shape[2], dtype=x.dtype)
    y = torch.zeros_like(x)
    for t in order:
        state = log_decay[:, t].exp()[:, :, None, None] * state + x[:, t, :, :, None] * b[:, t, None, None, :]
        y[:, t] = (state * c[:, t, None, None, :]).sum(-1)
    return y


def filtered(conv: Any, tokens: Tensor, height: int, width: int) -> Tensor:
    """A depthwise convolution and SiLU of tokens ``(B, L, C)``."""
    image = tokens.transpose(1, 2).unflatten(2, (height, width))
    return swish(convolve_depthwise(image, conv.weight, conv.bias)).flatten(2).transpose(1, 2)


def _finish(op: Any, mixed: Tensor, gate: Tensor, x: Tensor) -> Tensor:
    y = mixed.flatten(2) * swish(gate)
    y = y / (y.square().mean(-1, keepdim=True) + op.norm.eps).sqrt() * op.norm.weight
    return (y @ op.out.weight.T).transpose(1, 2).unflatten(2, x.shape[2:])


def _split(op: Any, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Tokens, gate and values ``(B, L, heads, head_dim)``."""
    tokens = x.flatten(2).transpose(1, 2)
    inner = op.heads * op.head_dim
    gate, values = (tokens @ w.T for w in op.gate_values.weight.split(inner))
    return tokens, gate, filtered(op.conv, values, *x.shape[2:]).unflatten(-1, (op.heads, op.head_dim))


def _inputs(op: Any, x: Tensor) -> tuple[Tensor, Tensor, list[Recurrence]]:
    """Gate, values, and for every direction (step sizes, rates, b, c)."""
    tokens, gate, values = _split(op, x)
    maps = filtered(op.maps_conv, tokens @ op.maps.weight.T, *x.shape[2:])
    b, c = maps.split(maps.shape[-1] // 2, -1)
    sizes = [(1 + (tokens @ op.step.weight.T + bias).exp()).log() for bias in op.step_bias]
    return gate, values, [(size, rate, b, c) for size, rate in zip(sizes, op.log_rate.exp(), strict=True)]


@reference("gated_conv")
def gated_conv(op: Any, x: Tensor) -> Tensor:
    _, gate, values = _split(op, x)
    return _finish(op, values, gate, x)


@reference("nc_ssd")
def nc_ssd(op: Any, x: Tensor) -> Tensor:
    """Every pair of tokens: ``y[i]`` is the sum over all j of ``(c[i] . b[j]) weight[j] x[j]``."""
    gate, values, [(size, rate, b, c)] = _inputs(op, x)
    pairs = torch.einsum("bin,bjn,bjh->bijh", c, b, size * rate) / values.shape[1]
    return _finish(op, torch.einsum("bijh,bjhp->bihp", pairs, values) + op.skip * values, gate, x)


@reference("ssd")
def ssd(op: Any, x: Tensor) -> Tensor:
    """Token after token in every direction."""
    gate, values, ways = _inputs(op, x)
    total = torch.zeros_like(values)
    for (size, rate, b, c), order in zip(ways, token_orders(op.scans, *x.shape[2:]), strict=True):
        total = total + recurrence(order, values * size[..., None], -size * rate, b, c)
    return _finish(op, total / op.scans + op.skip * values, gate, x)


def _randn(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64)


def _mixer(kind: type, **sizes: int) -> Any:
    torch.manual_seed(0)
    return kind(dim=6, heads=2, head_dim=4, **sizes).double()


@degenerate("ssd", "many chunks: the quadratic form over all pairs of tokens")
def quadratic() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    x, b, c = _randn(2, 150, 2, 3), _randn(2, 150, 4), _randn(2, 150, 4)
    log_decay = -3 * torch.rand(2, 150, 2, dtype=torch.float64)
    sums = log_decay.cumsum(1)
    decay = (sums[:, :, None] - sums[:, None]).masked_fill(torch.ones(150, 150).triu(1)[:, :, None] > 0, -torch.inf)
    weights = torch.einsum("bin,bjn->bij", c, b)[..., None] * decay.exp()
    return ssd_scan(x, log_decay, b, c), torch.einsum("bijh,bjhp->bihp", weights, x)


@degenerate("ssd", "many chunks: the recurrence, also for decays that a cumulative product cannot hold")
def chunks() -> tuple[Tensor, Tensor]:
    torch.manual_seed(1)
    x, b, c = _randn(1, 200, 2, 3), _randn(1, 200, 4), _randn(1, 200, 4)
    log_decay = -60 * torch.rand(1, 200, 2, dtype=torch.float64)
    return ssd_scan(x, log_decay, b, c), recurrence(list(range(200)), x, log_decay, b, c)


@degenerate("ssd", "a 1 x N image: 4 directions with the parameters of 2")
def one_row() -> tuple[Tensor, Tensor]:
    two, four = _mixer(SSD, state=3, scans=2), _mixer(SSD, state=3, scans=4)
    state = {name: t.repeat(2, 1) if t.shape[0] == 2 and name in ("step_bias", "log_rate") else t
             for name, t in two.state_dict().items()}  # fmt: skip
    four.load_state_dict(state)
    x = _randn(1, 6, 1, 90)
    return four(x), two(x)


@degenerate(
    "ssd", "4 directions with equal parameters: rows and columns exchanged in the image are exchanged in the result"
)
def exchanged() -> tuple[Tensor, Tensor]:
    op = _mixer(SSD, state=3, scans=4)
    for parameter in (op.step_bias, op.log_rate):
        parameter.data.copy_(parameter.data[:1].expand_as(parameter))
    for conv in (op.conv, op.maps_conv):
        conv.weight.data.add_(conv.weight.data.mT.clone())
    x = _randn(1, 6, 9, 8)
    return op(x.mT), op(x).mT


@degenerate("ssd", "no step: the same mixer without its state-space part, times its skip")
def no_step() -> tuple[Tensor, Tensor]:
    op, plain = _mixer(SSD, state=3, scans=2), _mixer(GatedConv)
    op.step_bias.data.fill_(-200.0)
    plain.load_state_dict({name: t for name, t in op.state_dict().items() if name in plain.state_dict()})
    x = _randn(2, 6, 7, 9)
    return op(x), plain(x)


@degenerate("ssd", "state n: the leading n of the largest state, the others' output map being zero")
def leading_states() -> tuple[Tensor, Tensor]:
    large, small = _mixer(SSD, state=6, scans=2), _mixer(SSD, state=2, scans=2)
    cut = large.state_dict()
    for name in ("maps.weight", "maps_conv.weight", "maps_conv.bias"):
        cut[name] = cut[name].unflatten(0, (2, 6))[:, :2].flatten(0, 1)
    small.load_state_dict(cut)
    for part in (large.maps_conv.weight, large.maps_conv.bias):
        part.data.unflatten(0, (2, 6))[:, 2:] = 0
    x = _randn(2, 6, 7, 11)
    return small(x), large(x)


@degenerate("nc_ssd", "no decay: the two directions of a scan that forgets nothing, less the token counted twice")
def nothing_forgotten() -> tuple[Tensor, Tensor]:
    op = _mixer(NonCausalSSD, state=3)
    x, step, b, c = _randn(2, 80, 2, 4), _randn(2, 80, 2), _randn(2, 80, 3), _randn(2, 80, 3)
    weighted = x * (F.softplus(step + op.step_bias[0]) * op.log_rate[0].exp())[..., None] / 80
    still = torch.zeros(2, 80, 2, dtype=torch.float64)
    ways = ssd_scan(weighted, still, b, c) + ssd_scan(*(t.flip(1) for t in (weighted, still, b, c))).flip(1)
    return op.mix(x, step, b, c, 8, 10), ways - (b * c).sum(-1)[..., None, None] * weighted


@degenerate("gated_conv", "no convolution: a gated linear unit with a norm")
def gated_unit() -> tuple[Tensor, Tensor]:
    op = _mixer(GatedConv)
    op.conv.weight.data.zero_()[:, :, 1, 1] = 1
    op.conv.bias.data.zero_()
    x = _randn(2, 6, 5, 4)
    gate, values = torch.einsum("bchw,oc->bohw", x, op.gate_values.weight).chunk(2, 1)
    y = F.rms_norm((F.silu(values) * F.silu(gate)).movedim(1, -1), (8,), op.norm.weight, op.norm.eps)
    return op(x), F.linear(y, op.out.weight).movedim(-1, 1)
