"""Omni-scale streams: light convolutions stacked to different depths, side by side."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from search_spaces.errors import SpaceError
from search_spaces.operators.base import Operator
from search_spaces.operators.convolutions import depthwise, pointwise
from search_spaces.operators.legal import flag, require
from search_spaces.operators.registry import register

MOST = 4


def _layers(streams: int) -> int:
    return streams * (streams + 1) // 2


@register
class OmniScale(Operator):
    """Omni-scale block (Zhou et al., OSNet, arXiv 1905.00953): 1x1 down; stream t is t light convolutions (1x1, depthwise
    3x3, batch norm, ReLU), t = 1, 2, ...; one gate network weighs the channels of every stream by their means; the
    sum of the streams goes through a 1x1 up.

    Args:
        dim: channels in and out.
        inner: channels of the streams.
        streams: 1 to 4.
        gate: 1 for the gate (a quarter of ``inner`` in its middle), 0 for a plain sum.
    """

    name, role, family, prenorm = "omni_scale", "mixer", "conv", "batch"
    elastic = {"inner": (8, 16), "streams": (1, 2, 4), "gate": (0, 1)}
    layout = {
        "down.weight": "inner dim 1 1",
        "down.bias": "inner",
        **{f"point.{i}.weight": "inner inner 1 1" for i in range(_layers(MOST))},
        **{f"spread.{i}.weight": "inner 1 3 3" for i in range(_layers(MOST))},
        **{f"norm.{i}.{part}": "inner" for i in range(_layers(MOST)) for part in ("weight", "bias")},
        **{f"norm.{i}.running_{part}": "inner" for i in range(_layers(MOST)) for part in ("mean", "var")},
        "squeeze.weight": "reduced inner 1 1",
        "squeeze.bias": "reduced",
        "excite.weight": "inner reduced 1 1",
        "excite.bias": "inner",
        "up.weight": "dim inner 1 1",
        "up.bias": "dim",
    }

    def __init__(self, dim: int, inner: int, streams: int, gate: int) -> None:
        super().__init__()
        layers = _layers(streams)
        self.streams = streams
        self.down = pointwise(dim, inner)
        self.point = nn.ModuleList(pointwise(inner, inner, bias=False) for _ in range(layers))
        self.spread = nn.ModuleList(depthwise(inner, 3, bias=False) for _ in range(layers))
        self.norm = nn.ModuleList(nn.BatchNorm2d(inner) for _ in range(layers))
        self.squeeze = pointwise(inner, inner // 4) if gate else None
        self.excite = pointwise(inner // 4, inner) if gate else None
        self.up = pointwise(inner, dim)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.down(x))
        total = torch.zeros_like(x)
        for stream in range(self.streams):
            y = x
            for i in range(_layers(stream), _layers(stream + 1)):
                y = torch.relu(self.norm[i](self.spread[i](self.point[i](y))))
            if self.squeeze is not None and self.excite is not None:
                y = y * self.excite(torch.relu(self.squeeze(y.mean((2, 3), keepdim=True)))).sigmoid()
            total = total + y
        return self.up(total)

    @classmethod
    def axes(cls, **sizes: int) -> dict[str, int]:
        return {**sizes, "reduced": sizes["inner"] // 4}

    @classmethod
    def check(cls, shape: tuple[int, ...], **sizes: int) -> None:
        require(1 <= sizes["streams"] <= MOST, cls, "streams", sizes["streams"], f"1 to {MOST}")
        flag(cls, gate=sizes["gate"])
        if sizes["gate"] and sizes["inner"] < 4:
            raise SpaceError(f"operator {cls.name!r}: inner: got {sizes['inner']}; legal: 4 or more with a gate")

    @classmethod
    def work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        tokens, dim, inner, streams = height * width, sizes["dim"], sizes["inner"], sizes["streams"]
        layers, reduced = _layers(streams), inner // 4 if sizes["gate"] else 0
        macs = tokens * inner * (2 * dim + layers * (inner + 9)) + 2 * streams * inner * reduced
        gates = streams * (reduced + inner) if reduced else 0
        return macs, tokens * (inner * (1 + 2 * layers) + dim) + gates
