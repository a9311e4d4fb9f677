"""Mixers by state-space duality: non-causal, in 1, 2 or 4 directions, and the same mixer without its state-space part."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from search_spaces.operators.base import Operator
from search_spaces.operators.directions import by_columns
from search_spaces.operators.layers import RMSNorm, full_precision, to_image, to_tokens
from search_spaces.operators.legal import require
from search_spaces.operators.registry import register
from search_spaces.operators.ssd import Way, nc_ssd, scan_work, ssd_ways


class _GatedMixer(Operator):
    """The shell of the Mamba-2 mixer: gate and values, a depthwise 3x3 convolution, a core, gated norm, projection.

    Args:
        dim: channels in and out.
        heads: number of heads.
        head_dim: channels of a head.
    """

    role = "mixer"
    elastic = {"heads": (2, 4, 6), "head_dim": (8, 16)}
    layout = {
        "gate_values.weight": "(2 heads head_dim) dim",
        "conv.weight": "(heads head_dim) 1 3 3",
        "conv.bias": "(heads head_dim)",
        "norm.weight": "(heads head_dim)",
        "out.weight": "dim (heads head_dim)",
    }

    def __init__(self, dim: int, heads: int, head_dim: int) -> None:
        super().__init__()
        inner = heads * head_dim
        self.heads, self.head_dim = heads, head_dim
        self.gate_values = nn.Linear(dim, 2 * inner, bias=False)
        self.conv = nn.Conv2d(inner, inner, 3, padding=1, groups=inner)
        self.norm = RMSNorm(inner)
        self.out = nn.Linear(inner, dim, bias=False)

    def core(self, values: Tensor, tokens: Tensor, height: int, width: int) -> Tensor:
        """Mixes ``values`` ``(B, L, inner)``, given the mixer's input ``tokens`` ``(B, L, dim)``."""
        return values

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[2:]
        tokens = to_tokens(x)
        gate, values = self.gate_values(tokens).chunk(2, -1)
        values = to_tokens(F.silu(self.conv(to_image(values, height, width))))
        mixed = self.core(values, tokens, height, width)
        return to_image(self.out(self.norm(mixed * F.silu(gate))), height, width)

    @classmethod
    def work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        tokens, dim, inner = height * width, sizes["dim"], sizes["heads"] * sizes["head_dim"]
        return tokens * (3 * dim * inner + 9 * inner), tokens * (3 * inner + dim)


@register
class GatedConv(_GatedMixer):
    """The Mamba-2 mixer without its state-space part, as MambaOut does (Yu & Wang, arXiv 2405.07992): the control."""

    name, family = "gated_conv", "conv"


class _StateSpace(_GatedMixer):
    """Adds the state's input and output maps B and C (one group) and, for every scan direction, decays and step biases.

    Args:
        state: size of the state of each channel.
        scans: directions.
    """

    family = "ssm"
    elastic = {**_GatedMixer.elastic, "state": (8, 16)}
    layout = {
        **_GatedMixer.layout,
        "maps.weight": "(2 state) dim",
        "maps_conv.weight": "(2 state) 1 3 3",
        "maps_conv.bias": "(2 state)",
        "step.weight": "heads dim",
        "step_bias": "scans heads",
        "log_rate": "scans heads",
        "skip": "heads 1",
    }

    def __init__(self, dim: int, heads: int, head_dim: int, state: int, scans: int) -> None:
        super().__init__(dim, heads, head_dim)
        self.maps = nn.Linear(dim, 2 * state, bias=False)
        self.maps_conv = nn.Conv2d(2 * state, 2 * state, 3, padding=1, groups=2 * state)
        self.step = nn.Linear(dim, heads, bias=False)
        steps = torch.logspace(-3, -1, heads).expand(scans, heads)  # step sizes from 0.001 to 0.1, as in Mamba
        self.step_bias = nn.Parameter(steps + torch.log(-torch.expm1(-steps)))  # the inverse of softplus
        self.log_rate = nn.Parameter(torch.linspace(1, 16, heads).log().expand(scans, heads).clone())
        self.skip = nn.Parameter(torch.ones(heads, 1))

    def mix(self, values: Tensor, step: Tensor, b: Tensor, c: Tensor, height: int, width: int) -> Tensor:
        """values ``(B, L, heads, head_dim)``, step before its bias ``(B, L, heads)``, b and c ``(B, L, state)``."""
        raise NotImplementedError

    def sizes_of(self, step: Tensor, scan: int) -> tuple[Tensor, Tensor]:
        """Step sizes of direction ``scan`` and their product with its rates, in full precision: ``(B, L, heads)``."""
        size = F.softplus(full_precision(step) + self.step_bias[scan])
        return size, size * self.log_rate[scan].exp()

    def core(self, values: Tensor, tokens: Tensor, height: int, width: int) -> Tensor:
        maps = F.silu(self.maps_conv(to_image(self.maps(tokens), height, width)))
        b, c = to_tokens(maps).chunk(2, -1)
        values = values.unflatten(-1, (self.heads, self.head_dim))
        return (self.mix(values, self.step(tokens), b, c, height, width) + self.skip * values).flatten(2)

    @classmethod
    def _shell(cls, tokens: int, **sizes: int) -> tuple[int, int]:
        macs, activations = _GatedMixer.work(tokens, 1, **sizes)
        dim, state, heads = sizes["dim"], sizes["state"], sizes["heads"]
        return macs + tokens * (2 * state * (dim + 9) + heads * dim), activations + tokens * (4 * state + heads)


@register
class NonCausalSSD(_StateSpace):
    """Non-causal state-space duality of VSSD (Shi et al., arXiv 2407.18559): every token adds to one state, weighted by its
    own decay; no scan, no direction. The sum is divided by the number of tokens, so it does not grow with resolution.

    Args:
        dim: channels in and out.
        heads: number of heads.
        head_dim: channels of a head.
        state: size of the state of each channel.
    """

    name = "nc_ssd"

    def __init__(self, dim: int, heads: int, head_dim: int, state: int) -> None:
        super().__init__(dim, heads, head_dim, state, 1)

    def mix(self, values: Tensor, step: Tensor, b: Tensor, c: Tensor, height: int, width: int) -> Tensor:
        weight = self.sizes_of(step, 0)[1] / (height * width)
        return nc_ssd(values, weight.to(values.dtype), b, c)

    @classmethod
    def axes(cls, **sizes: int) -> dict[str, int]:
        return {**sizes, "scans": 1}

    @classmethod
    def work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        tokens, state, inner = height * width, sizes["state"], sizes["heads"] * sizes["head_dim"]
        macs, activations = cls._shell(tokens, **sizes)
        return macs + 2 * tokens * state * inner, activations + inner * (state + tokens)


@register
class SSD(_StateSpace):
    """Mamba-2's chunked state-space duality (Dao & Gu, arXiv 2405.21060) over the tokens of an image: row by row forward,
    also backward, also column by column in both directions (the cross-scan of Liu et al., VMamba, arXiv 2401.10166). Each
    direction has its own decays and step biases; directions are averaged.

    Args:
        dim: channels in and out.
        heads: number of heads.
        head_dim: channels of a head.
        state: size of the state of each channel.
        scans: directions, 1, 2 or 4.
    """

    name = "ssd"
    elastic = {**_StateSpace.elastic, "scans": (1, 2, 4)}

    @classmethod
    def check(cls, shape: tuple[int, ...], **sizes: int) -> None:
        require(sizes["scans"] in (1, 2, 4), cls, "scans", sizes["scans"], "1, 2, 4")

    def __init__(self, dim: int, heads: int, head_dim: int, state: int, scans: int) -> None:
        super().__init__(dim, heads, head_dim, state, scans)
        self.scans = scans

    def mix(self, values: Tensor, step: Tensor, b: Tensor, c: Tensor, height: int, width: int) -> Tensor:
        y = self._along(values, step, b, c, 0)
        if self.scans == 4:
            values, step, b, c = (by_columns(t, height, width) for t in (values, step, b, c))
            y = y + by_columns(self._along(values, step, b, c, 2), width, height)
        return y / self.scans

    def _along(self, values: Tensor, step: Tensor, b: Tensor, c: Tensor, first: int) -> Tensor:
        """The sum of directions ``first`` (forward) and, if there is one, the next (backward)."""
        ways = []
        for scan in range(first, min(first + 2, self.scans)):
            size, rate = self.sizes_of(step, scan)
            ways.append(Way(-rate, size, backward=scan > first))
        return ssd_ways(values, b, c, *ways)

    @classmethod
    def work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        tokens, scans = height * width, sizes["scans"]
        ways, calls = min(scans, 2), -(-scans // 2)
        macs, writes = scan_work(tokens, sizes["heads"], sizes["head_dim"], sizes["state"], ways)
        shell = cls._shell(tokens, **sizes)
        return shell[0] + calls * macs, shell[1] + calls * writes
