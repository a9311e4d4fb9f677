"""The MambaVision mixer: a state-space branch and a convolution branch side by side."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from search_spaces.operators.base import Operator
from search_spaces.operators.layers import full_precision, to_image, to_tokens
from search_spaces.operators.legal import odd, require
from search_spaces.operators.mamba_mixers import Selection
from search_spaces.operators.registry import register
from search_spaces.operators.ssd import Way, scan_work, ssd_ways


class _TwoBranches(Operator):
    """Two branches of ``inner`` channels, each with a regular (not causal) convolution along the tokens and SiLU; one is
    scanned, and a projection sees both.

    Args:
        dim: channels in and out.
        kernel: odd length of the convolutions.
    """

    role, family = "mixer", "ssm"
    layout = {
        "branches.weight": "(2 inner) dim",
        "conv.weight": "(2 inner) 1 kernel@centre",
        "out.weight": "dim (2 inner)",
    }

    def __init__(self, dim: int, inner: int, kernel: int) -> None:
        super().__init__()
        self.branches = nn.Linear(dim, 2 * inner, bias=False)
        self.conv = nn.Conv1d(2 * inner, 2 * inner, kernel, padding=kernel // 2, groups=2 * inner, bias=False)
        self.out = nn.Linear(2 * inner, dim, bias=False)

    def scan(self, u: Tensor) -> Tensor:
        """``(B, L, inner)`` -> the same."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[2:]
        branches = F.silu(self.conv(self.branches(to_tokens(x)).transpose(1, 2))).transpose(1, 2)
        u, beside = branches.chunk(2, -1)
        return to_image(self.out(torch.cat([self.scan(u).to(x.dtype), beside], -1)), height, width)

    @classmethod
    def check(cls, shape: tuple[int, ...], **sizes: int) -> None:
        odd(cls, kernel=sizes["kernel"])

    @classmethod
    def _shell(cls, tokens: int, dim: int, inner: int, kernel: int) -> tuple[int, int]:
        return tokens * inner * (4 * dim + 2 * kernel), tokens * (4 * inner + dim)


@register
class MambaVision(_TwoBranches):
    """The MambaVision mixer (Hatamizadeh & Kautz, arXiv 2407.08083): ``out(cat(scan(silu(conv(u))), silu(conv(w))))`` where
    the scan is Mamba's, forward along the rows, and both branches have half the inner channels.

    Args:
        dim: channels in and out.
        expansion: inner channels over ``dim``, both branches together; 1 in the paper.
        state: size of the state of each channel.
        rank: of the map that gives the steps.
        kernel: odd length of the convolutions.
    """

    name = "mambavision"
    elastic = {"expansion": (1, 2), "state": (8, 16), "rank": (4, 8), "kernel": (3, 5)}
    layout = {
        **_TwoBranches.layout,
        **{f"selection.{name}": axes for name, axes in Selection.layout.items()},
    }

    def __init__(self, dim: int, expansion: int, state: int, rank: int, kernel: int) -> None:
        inner = dim * expansion // 2
        super().__init__(dim, inner, kernel)
        self.selection = Selection(inner, state, rank, 1)

    def scan(self, u: Tensor) -> Tensor:
        return self.selection(u, 0, False)

    @classmethod
    def axes(cls, **sizes: int) -> dict[str, int]:
        return {**sizes, "scans": 1, "inner": sizes["dim"] * sizes["expansion"] // 2}

    @classmethod
    def check(cls, shape: tuple[int, ...], **sizes: int) -> None:
        super().check(shape, **sizes)
        require(sizes["dim"] * sizes["expansion"] % 2 == 0, cls, "dim", sizes["dim"], "even numbers")

    @classmethod
    def work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        tokens, inner = height * width, cls.axes(**sizes)["inner"]
        shell = cls._shell(tokens, sizes["dim"], inner, sizes["kernel"])
        macs, writes = Selection.work(tokens, inner, sizes["state"], sizes["rank"])
        return shell[0] + macs, shell[1] + writes


@register
class MambaVisionSSD(_TwoBranches):
    """The same two branches (arXiv 2407.08083) with the scan of Mamba-2 (arXiv 2405.21060), which is made of matrix products:
    one rate and step a head, input and output maps shared by the heads.

    Args:
        dim: channels in and out.
        heads: number of heads.
        head_dim: channels of a head; a branch has ``heads * head_dim``.
        state: size of the state of each channel.
        kernel: odd length of the convolutions.
    """

    name = "mambavision_ssd"
    elastic = {"heads": (2, 4), "head_dim": (8, 16), "state": (8, 16), "kernel": (3, 5)}
    layout = {
        "branches.weight": "(2 heads head_dim) dim",
        "conv.weight": "(2 heads head_dim) 1 kernel@centre",
        "out.weight": "dim (2 heads head_dim)",
        "maps.weight": "(2 state) (heads head_dim)",
        "step.weight": "heads (heads head_dim)",
        "step.bias": "heads",
        "log_rate": "heads",
        "skip": "heads 1",
    }

    def __init__(self, dim: int, heads: int, head_dim: int, state: int, kernel: int) -> None:
        inner = heads * head_dim
        super().__init__(dim, inner, kernel)
        self.heads, self.head_dim = heads, head_dim
        self.maps = nn.Linear(inner, 2 * state, bias=False)
        self.step = nn.Linear(inner, heads)
        steps = torch.logspace(-3, -1, heads)  # from 0.001 to 0.1, as in Mamba
        self.step.bias.data = steps + torch.log(-torch.expm1(-steps))  # the inverse of softplus
        self.log_rate = nn.Parameter(torch.linspace(1, 16, heads).log())
        self.skip = nn.Parameter(torch.ones(heads, 1))

    def scan(self, u: Tensor) -> Tensor:
        values = u.unflatten(-1, (self.heads, self.head_dim))
        b, c = self.maps(u).chunk(2, -1)
        size = F.softplus(full_precision(self.step(u)))
        way = Way(-size * full_precision(self.log_rate).exp(), size)
        return (ssd_ways(values, b, c, way) + self.skip * values).flatten(2)

    @classmethod
    def work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        tokens, heads, state = height * width, sizes["heads"], sizes["state"]
        inner = heads * sizes["head_dim"]
        shell = cls._shell(tokens, sizes["dim"], inner, sizes["kernel"])
        macs, writes = scan_work(tokens, heads, sizes["head_dim"], state)
        chosen = 2 * state + heads
        return shell[0] + macs + tokens * inner * chosen, shell[1] + writes + tokens * chosen
