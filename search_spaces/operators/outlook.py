"""Outlook attention: weights for a neighbourhood straight from its middle, no queries and keys."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from search_spaces.errors import SpaceError
from search_spaces.operators.base import Operator
from search_spaces.operators.layers import to_image, to_tokens
from search_spaces.operators.legal import odd, positive
from search_spaces.operators.registry import register


def average(x: Tensor, stride: int) -> Tensor:
    """Means of ``stride x stride`` patches; at the lower right end, of what the image has: ``(B, C, H, W)`` in."""
    below, right = -x.shape[2] % stride, -x.shape[3] % stride
    if not below and not right:
        return F.avg_pool2d(x, stride) if stride > 1 else x
    inside = F.pad(torch.ones_like(x[:1, :1]), (0, right, 0, below))
    return F.avg_pool2d(F.pad(x, (0, right, 0, below)), stride) / F.avg_pool2d(inside, stride)


def unfold(x: Tensor, kernel: int, stride: int) -> Tensor:
    """Neighbourhoods of every ``stride``-th place, zero beyond the image: ``(B, C, H, W)`` -> ``(B, kernel^2, C, h, w)``."""
    height, width = (stride * (math.ceil(side / stride) - 1) + 1 for side in x.shape[2:])
    x = F.pad(x, [kernel // 2] * 4)
    taps = ((y, z) for y in range(kernel) for z in range(kernel))
    return torch.stack([x[:, :, y : y + height : stride, z : z + width : stride] for y, z in taps], 1)


def fold(taps: Tensor, kernel: int, stride: int, height: int, width: int) -> Tensor:
    """Adds neighbourhoods up where they overlap, the transpose of `unfold`: ``(B, kernel^2, C, h, w)`` -> ``(B, C, H, W)``.

    Taps that fall on the same one of the ``stride x stride`` sub-images are added there, and the sub-images interleaved.
    """
    extra = math.ceil((kernel - 1) / stride)
    strips = []
    for first in range(stride):
        images = []
        for second in range(stride):
            image = torch.zeros_like(F.pad(taps[:, 0], (0, extra, 0, extra)))
            for y in range(first, kernel, stride):
                for z in range(second, kernel, stride):
                    down, across = y // stride, z // stride
                    image = image + F.pad(taps[:, y * kernel + z], (across, extra - across, down, extra - down))
            images.append(image)
        strips.append(torch.stack(images, -1).flatten(3))
    x = torch.stack(strips, 3).flatten(2, 3)
    return x[:, :, kernel // 2 : kernel // 2 + height, kernel // 2 : kernel // 2 + width]


@register
class OutlookAttention(Operator):
    """Outlook attention (Yuan et al., VOLO, arXiv 2106.13112): every ``stride``-th place gives, by a linear map of the mean
    of its patch, the weights by which the values around it mix (``kernel^2 x kernel^2`` a head, softmax over the values), and
    what overlapping neighbourhoods give is added up.

    Args:
        dim: channels in and out.
        heads: number of heads.
        head_dim: channels of a head.
        kernel: odd side of a neighbourhood.
        stride: distance between two of them, at most the kernel.
    """

    name, role, family = "outlook_attention", "mixer", "attention"
    elastic = {"heads": (2, 4, 6), "head_dim": (8, 16), "kernel": (3, 5), "stride": (1, 2)}
    layout = {
        "values.weight": "(heads head_dim) dim",
        "weights.weight": "(heads kernel@centre kernel@centre kernel@centre kernel@centre) dim",
        "weights.bias": "(heads kernel@centre kernel@centre kernel@centre kernel@centre)",
        "out.weight": "dim (heads head_dim)",
        "out.bias": "dim",
    }

    def __init__(self, dim: int, heads: int, head_dim: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.heads, self.head_dim, self.kernel, self.stride = heads, head_dim, kernel, stride
        self.values = nn.Linear(dim, heads * head_dim, bias=False)
        self.weights = nn.Linear(dim, heads * kernel**4)
        self.out = nn.Linear(heads * head_dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        batch, _, height, width = x.shape
        area = self.kernel**2
        values = unfold(to_image(self.values(to_tokens(x)), height, width), self.kernel, self.stride)
        shape = values.shape
        values = values.reshape(batch, area, self.heads, self.head_dim, -1).permute(0, 2, 4, 1, 3)
        weights = self.weights(to_tokens(average(x, self.stride))) * self.head_dim**-0.5
        weights = weights.reshape(batch, -1, self.heads, area, area).transpose(1, 2).softmax(-1)
        mixed = (weights @ values).permute(0, 3, 1, 4, 2).reshape(shape)  # (B, heads, places, area, head_dim) before
        mixed = fold(mixed, self.kernel, self.stride, height, width)
        return to_image(self.out(to_tokens(mixed)), height, width)

    @classmethod
    def check(cls, shape: tuple[int, ...], **sizes: int) -> None:
        positive(cls, **sizes)
        odd(cls, kernel=sizes["kernel"])
        if sizes["stride"] > sizes["kernel"]:
            raise SpaceError(
                f"operator {cls.name!r}: stride = {sizes['stride']}; legal: 1 to kernel = {sizes['kernel']}"
            )

    @classmethod
    def work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        tokens, dim, inner = height * width, sizes["dim"], sizes["heads"] * sizes["head_dim"]
        area, stride = sizes["kernel"] ** 2, sizes["stride"]
        places = math.ceil(height / stride) * math.ceil(width / stride)
        weights = places * sizes["heads"] * area * area
        macs = 2 * tokens * dim * inner + weights * (dim + sizes["head_dim"])
        return macs, tokens * (inner + dim) + weights + places * area * inner
