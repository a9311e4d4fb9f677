"""Evidence for the convolutional modulations."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from search_spaces.operators.modulation import ConvModulation, FocalModulation, ScaleAwareModulation
from search_spaces.references.registry import degenerate, reference
from search_spaces.references.slow import convolve_depthwise, gelu, mix, normalise


@reference("conv_modulation")
def conv_modulation(op: Any, x: Tensor) -> Tensor:
    context = convolve_depthwise(gelu(mix(x, op.context)), op.depthwise.weight, op.depthwise.bias)
    return mix(context * mix(x, op.value), op.out)


@reference("scale_aware_modulation")
def scale_aware_modulation(op: Any, x: Tensor) -> Tensor:
    """The aggregation channel by channel: group c sees channel c of every head."""
    mixed, heads = mix(x, op.mixed), op.heads
    size = mixed.shape[1] // heads
    scales = [
        convolve_depthwise(mixed[:, i * size : (i + 1) * size], conv.weight, conv.bias)
        for i, conv in enumerate(op.scales)
    ]
    hidden = op.aggregate.out_channels // size
    groups = []
    for c in range(size):
        rows = slice(c * hidden, (c + 1) * hidden)
        weight = op.aggregate.weight[rows, :, 0, 0]
        same = torch.stack([scale[:, c] for scale in scales], -1)
        groups.append((same @ weight.T + op.aggregate.bias[rows]).movedim(-1, 1))
    weights = mix(gelu(normalise(torch.cat(groups, 1), op.norm)), op.gather)
    return mix(weights * mix(x, op.value), op.out)


@reference("focal_modulation")
def focal_modulation(op: Any, x: Tensor) -> Tensor:
    both, gates, inner = mix(x, op.enter), mix(x, op.gates), op.out.in_channels
    contexts = [both[:, inner:]]
    for conv in op.contexts:
        contexts.append(gelu(convolve_depthwise(contexts[-1], conv.weight)))
    image = gelu(contexts[-1].flatten(2).mean(2))[:, :, None, None].expand_as(contexts[-1])
    total = sum(gates[:, i : i + 1] * context for i, context in enumerate([image, *contexts[1:]]))
    return mix(both[:, :inner] * mix(total, op.modulate), op.out)  # type: ignore[arg-type]


@degenerate("conv_modulation", "value of one: pointwise, GELU, depthwise, pointwise")
def open_value() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    op = ConvModulation(dim=8, inner=16, kernel=11).double()
    op.value.weight.zero_()
    op.value.bias.fill_(1.0)  # type: ignore[union-attr]
    x = torch.randn(2, 8, 9, 6, dtype=torch.float64)
    context = gelu(mix(x, op.context))
    return op(x), mix(convolve_depthwise(context, op.depthwise.weight, op.depthwise.bias), op.out)


@degenerate("scale_aware_modulation", "one head, aggregation without effect: plain depthwise-convolution modulation")
def one_head() -> tuple[Tensor, Tensor]:
    """GELU is linear far from zero: shifted by 100 there and back, the aggregation passes its input on."""
    torch.manual_seed(0)
    op = ScaleAwareModulation(dim=8, heads=1, head_dim=16, kernel=3, expansion=1).double().eval()
    op.aggregate.weight.fill_((1 + op.norm.eps) ** 0.5)
    op.aggregate.bias.zero_()  # type: ignore[union-attr]
    op.norm.bias.fill_(100.0)
    op.gather.weight.copy_(torch.eye(16, dtype=torch.float64)[:, :, None, None])
    op.gather.bias.fill_(-100.0)  # type: ignore[union-attr]
    x = torch.randn(2, 8, 9, 6, dtype=torch.float64)
    (conv,) = op.scales
    scale = convolve_depthwise(mix(x, op.mixed), conv.weight, conv.bias)  # type: ignore[arg-type]
    return op(x), mix(scale * mix(x, op.value), op.out)


@degenerate("focal_modulation", "only the whole image's gate open: one global context")
def global_only() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    op = FocalModulation(dim=8, inner=16, levels=2, kernel=3).double()
    op.gates.weight.zero_()
    op.gates.bias.copy_(torch.tensor([1.0, 0.0, 0.0]))  # type: ignore[union-attr]
    x = torch.randn(2, 8, 9, 6, dtype=torch.float64)
    query, context = mix(x, op.enter).chunk(2, 1)
    for conv in op.contexts:
        context = gelu(convolve_depthwise(context, conv.weight))  # type: ignore[arg-type]
    image = gelu(context.mean((2, 3), keepdim=True))
    return op(x), mix(query * mix(image, op.modulate), op.out)
