"""Mamba over images: the selective scan in several directions, or in one order that layers alternate."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from search_spaces.operators.base import Operator
from search_spaces.operators.directions import by_columns, mean_over_scans
from search_spaces.operators.layers import full_precision, to_image, to_tokens
from search_spaces.operators.legal import require
from search_spaces.operators.mamba import selective_scan, selective_work
from search_spaces.operators.registry import register


class Selection(nn.Module):
    """The selective scan with the maps that choose its step, input and output from the token, for several directions.

    ``(B, L, inner)`` -> ``(B, L, inner)`` in full precision. A shorter state keeps the slow rates.
    """

    layout = {
        "narrow": "scans rank inner",
        "maps": "scans 2 state inner",
        "widen": "scans inner rank",
        "step_bias": "scans inner",
        "log_rate": "scans inner state",
        "skip": "inner",
    }

    def __init__(self, inner: int, state: int, rank: int, scans: int) -> None:
        super().__init__()
        self.narrow = nn.Parameter(torch.empty(scans, rank, inner).uniform_(-1, 1) * inner**-0.5)
        self.maps = nn.Parameter(torch.empty(scans, 2, state, inner).uniform_(-1, 1) * inner**-0.5)
        self.widen = nn.Parameter(torch.empty(scans, inner, rank).uniform_(-1, 1) * rank**-0.5)
        steps = torch.logspace(-3, -1, inner)[torch.arange(inner) * 7 % inner].expand(scans, inner)  # mixed up
        self.step_bias = nn.Parameter(steps + torch.log(-torch.expm1(-steps)))  # the inverse of softplus
        self.log_rate = nn.Parameter(torch.arange(1, state + 1).float().log().expand(scans, inner, state).clone())
        self.skip = nn.Parameter(torch.ones(inner))

    def forward(self, u: Tensor, scan: int, backward: bool) -> Tensor:
        step = full_precision(F.linear(F.linear(u, self.narrow[scan]), self.widen[scan]))
        b, c = full_precision(F.linear(u, self.maps[scan].flatten(0, 1))).chunk(2, -1)
        step = F.softplus(step + self.step_bias[scan])
        rates = -full_precision(self.log_rate[scan]).exp()
        u = full_precision(u)
        return selective_scan(u, step, rates, b, c, backward=backward) + self.skip * u

    @staticmethod
    def work(tokens: int, inner: int, state: int, rank: int) -> tuple[int, int]:
        """(MACs, activations) of one direction."""
        macs, writes = selective_work(tokens, inner, state)
        return macs + 2 * tokens * inner * (rank + state), writes + tokens * (rank + inner + 2 * state)


class _Mamba(Operator):
    """Values and gate, a depthwise 3x3 convolution, selective scans, projection.

    Args:
        dim: channels in and out.
        expansion: inner channels over ``dim``.
        state: size of the state of each channel.
        rank: of the map that gives the steps.
    """

    role, family = "mixer", "ssm"
    elastic = {"expansion": (1, 2), "state": (8, 16), "rank": (4, 8)}
    layout = {
        "values_gate.weight": "(2 inner) dim",
        "conv.weight": "inner 1 3 3",
        "conv.bias": "inner",
        **{f"selection.{name}": axes for name, axes in Selection.layout.items()},
        "out.weight": "dim inner",
    }

    def __init__(self, dim: int, expansion: int, state: int, rank: int, scans: int) -> None:
        super().__init__()
        inner = dim * expansion
        self.values_gate = nn.Linear(dim, 2 * inner, bias=False)
        self.conv = nn.Conv2d(inner, inner, 3, padding=1, groups=inner)
        self.selection = Selection(inner, state, rank, scans)
        self.out = nn.Linear(inner, dim, bias=False)

    def mix(self, u: Tensor, height: int, width: int) -> Tensor:
        """``(B, L, inner)`` -> the same."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[2:]
        values, gate = self.values_gate(to_tokens(x)).chunk(2, -1)
        u = to_tokens(F.silu(self.conv(to_image(values, height, width))))
        mixed = self.mix(u, height, width) * F.silu(full_precision(gate))
        return to_image(self.out(mixed.to(x.dtype)), height, width)

    @classmethod
    def axes(cls, **sizes: int) -> dict[str, int]:
        return {"scans": 1, **sizes, "inner": sizes["dim"] * sizes["expansion"]}

    @classmethod
    def work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        tokens, dim, axes = height * width, sizes["dim"], cls.axes(**sizes)
        inner, scans = axes["inner"], axes["scans"]
        macs, writes = Selection.work(tokens, inner, sizes["state"], sizes["rank"])
        return tokens * inner * (3 * dim + 9) + scans * macs, tokens * (3 * inner + dim) + scans * writes


@register
class Mamba(_Mamba):
    """Mamba (Gu & Dao, arXiv 2312.00752) over the tokens of an image in 1, 2 (Zhu et al., Vision Mamba, arXiv 2401.09417) or
    4 directions (the cross-scan of Liu et al., VMamba, arXiv 2401.10166), each with maps and rates of its own; directions
    are averaged. Every channel has a state of its own, which no matrix product can advance: the slowest of its family.

    Args:
        dim: channels in and out.
        expansion: inner channels over ``dim``.
        state: size of the state of each channel.
        rank: of the map that gives the steps.
        scans: directions, 1, 2 or 4.
    """

    name = "mamba"
    elastic = {**_Mamba.elastic, "scans": (1, 2, 4)}

    def __init__(self, dim: int, expansion: int, state: int, rank: int, scans: int) -> None:
        super().__init__(dim, expansion, state, rank, scans)
        self.scans = scans

    def mix(self, u: Tensor, height: int, width: int) -> Tensor:
        return mean_over_scans(self.selection, (u,), self.scans, height, width)

    @classmethod
    def check(cls, shape: tuple[int, ...], **sizes: int) -> None:
        require(sizes["scans"] in (1, 2, 4), cls, "scans", sizes["scans"], "1, 2, 4")


@register
class MambaND(_Mamba):
    """Mamba-ND (Li et al., arXiv 2402.05892): one scan a layer, in an order that layers alternate. The order changes no
    weight.

    Args:
        dim: channels in and out.
        expansion: inner channels over ``dim``.
        state: size of the state of each channel.
        rank: of the map that gives the steps.
        order: 0 and 1 row by row, forward and backward; 2 and 3 column by column, forward and backward.
    """

    name = "mamba_nd"
    elastic = {**_Mamba.elastic, "order": (0, 1, 2, 3)}

    def __init__(self, dim: int, expansion: int, state: int, rank: int, order: int) -> None:
        super().__init__(dim, expansion, state, rank, 1)
        self.order = order

    def mix(self, u: Tensor, height: int, width: int) -> Tensor:
        backward = self.order % 2 == 1
        if self.order < 2:
            return self.selection(u, 0, backward)
        return by_columns(self.selection(by_columns(u, height, width), 0, backward), width, height)

    @classmethod
    def check(cls, shape: tuple[int, ...], **sizes: int) -> None:
        require(sizes["order"] <= 3, cls, "order", sizes["order"], "0, 1, 2, 3")
