"""Evidence for dilated convolutions."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from search_spaces.operators.convnext import ConvNeXt
from search_spaces.operators.dilated import AtrousPyramid, DilatedChain
from search_spaces.references.registry import degenerate, reference
from search_spaces.references.slow import convolve, convolve_depthwise, gelu, mix


@reference("dilated_chain")
def dilated_chain(op: Any, x: Tensor) -> Tensor:
    """Each link in its own residual, and the input taken away at the end."""
    y = x
    for conv, up, down in zip(op.depthwise, op.up, op.down, strict=True):
        seen = convolve_depthwise(y, conv.weight, conv.bias, conv.dilation[0])
        y = y + mix(gelu(mix(seen, up)), down)
    return y - x


@reference("atrous_pyramid")
def atrous_pyramid(op: Any, x: Tensor) -> Tensor:
    """The 1x1 over all as a sum over the parts."""
    inner = op.point.out_channels
    image = mix(x.flatten(2).mean(2)[:, :, None, None].expand_as(x), op.image)
    parts = [image, mix(x, op.point)]
    parts += [convolve(x, conv.weight, conv.bias, dilation=conv.dilation[0]) for conv in op.dilated]
    y = op.out.bias[:, None, None]
    for i, part in enumerate(parts):
        y = y + convolve(part.clamp(min=0), op.out.weight[:, i * inner : (i + 1) * inner])
    return y


@degenerate("dilated_chain", "one link: the ConvNeXt-like block")
def one_link() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    chain = DilatedChain(dim=8, links=1, growth=2, kernel=5, expansion=3).double()
    block = ConvNeXt(dim=8, expansion=3, kernel=5).double()
    block.load_state_dict({name.replace(".0.", "."): tensor for name, tensor in chain.state_dict().items()})
    x = torch.randn(2, 8, 9, 6, dtype=torch.float64)
    return chain(x), block(x)


@degenerate("atrous_pyramid", "dilations beyond the image: pointwise maps and the mean")
def far_taps() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    op = AtrousPyramid(dim=8, inner=4, rates=1, growth=20).double()
    x = torch.randn(2, 8, 9, 6, dtype=torch.float64)
    centre = torch.nn.functional.conv2d(x, op.dilated[0].weight[:, :, 1:2, 1:2], op.dilated[0].bias)  # type: ignore[index, arg-type]
    image = mix(x.mean((2, 3), keepdim=True), op.image).expand(-1, -1, 9, 6)
    return op(x), mix(torch.cat([image, mix(x, op.point), centre], 1).clamp(min=0), op.out)
