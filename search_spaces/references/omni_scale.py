"""Evidence for omni-scale streams."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from search_spaces.operators.omni_scale import OmniScale
from search_spaces.references.registry import degenerate, reference
from search_spaces.references.slow import convolve_depthwise, gate_forced_open, mix, normalise


@reference("omni_scale")
def omni_scale(op: Any, x: Tensor) -> Tensor:
    start, i = mix(x, op.down).clamp(min=0), 0
    streams: list[Tensor] = []
    while i < len(op.point):
        y = start
        for _ in range(len(streams) + 1):
            y = normalise(convolve_depthwise(mix(y, op.point[i]), op.spread[i].weight), op.norm[i]).clamp(min=0)
            i += 1
        streams.append(y)
    if op.squeeze is not None:
        for t, y in enumerate(streams):
            gate = mix(mix(y.flatten(2).mean(2)[:, :, None, None], op.squeeze).clamp(min=0), op.excite)
            streams[t] = y / (1 + (-gate).exp())
    total = torch.stack([mix(y, op.up) for y in streams]).sum(0)
    return total - (len(streams) - 1) * op.up.bias[:, None, None]


@degenerate("omni_scale", "one stream without a gate: a plain bottleneck with one light convolution")
def one_stream() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    op = OmniScale(dim=8, inner=4, streams=1, gate=0).double().eval()
    x = torch.randn(2, 8, 9, 6, dtype=torch.float64)
    light = convolve_depthwise(mix(mix(x, op.down).clamp(min=0), op.point[0]), op.spread[0].weight)  # type: ignore[arg-type]
    return op(x), mix((light / (1 + 1e-5) ** 0.5).clamp(min=0), op.up)


@degenerate("omni_scale", "gate forced open: the plain sum of the streams")
def open_gate() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    return gate_forced_open(OmniScale(dim=8, inner=4, streams=3, gate=1), OmniScale(dim=8, inner=4, streams=3, gate=0))
