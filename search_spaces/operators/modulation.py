"""Convolutional modulation: what the neighbourhood says multiplies the values."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from search_spaces.operators.base import Operator
from search_spaces.operators.convolutions import depthwise, pointwise
from search_spaces.operators.legal import odd, require
from search_spaces.operators.registry import register

MOST = 6  # heads or levels


@register
class ConvModulation(Operator):
    """Convolutional modulation (Hou et al., Conv2Former, arXiv 2211.11943): ``out(depthwise(gelu(context)) * value)``.

    Args:
        dim: channels in and out.
        inner: channels of context and value.
        kernel: odd side of the depthwise kernel.
    """

    name, role, family, prenorm = "conv_modulation", "mixer", "conv", "batch"
    elastic = {"inner": (16, 32), "kernel": (5, 7, 11)}
    layout = {
        "context.weight": "inner dim 1 1",
        "context.bias": "inner",
        "value.weight": "inner dim 1 1",
        "value.bias": "inner",
        "depthwise.weight": "inner 1 kernel@centre kernel@centre",
        "depthwise.bias": "inner",
        "out.weight": "dim inner 1 1",
        "out.bias": "dim",
    }

    def __init__(self, dim: int, inner: int, kernel: int) -> None:
        super().__init__()
        self.context = pointwise(dim, inner)
        self.value = pointwise(dim, inner)
        self.depthwise = depthwise(inner, kernel)
        self.out = pointwise(inner, dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.depthwise(F.gelu(self.context(x))) * self.value(x))

    @classmethod
    def check(cls, shape: tuple[int, ...], **sizes: int) -> None:
        odd(cls, kernel=sizes["kernel"])

    @classmethod
    def work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        tokens, dim, inner = height * width, sizes["dim"], sizes["inner"]
        return tokens * inner * (3 * dim + sizes["kernel"] ** 2), tokens * (3 * inner + dim)


@register
class ScaleAwareModulation(Operator):
    """Scale-aware modulation (Lin et al., SMT, arXiv 2307.08579). Every head is a depthwise convolution with a kernel two
    larger than the head's before it (3, 5, 7, 9); the aggregation mixes, for each channel of a head, that channel of
    all heads, then all channels; the result multiplies the values.

    Args:
        dim: channels in and out.
        heads: number of heads, so of kernels, 1 to 6.
        head_dim: channels of a head.
        kernel: odd side of the first head's kernel.
        expansion: hidden channels of the aggregation over ``heads * head_dim``.
    """

    name, role, family, prenorm = "scale_aware_modulation", "mixer", "conv", "batch"
    elastic = {"heads": (1, 2, 4), "head_dim": (8, 16), "kernel": (3, 5), "expansion": (1, 2)}
    layout = {
        "mixed.weight": "(heads head_dim) dim 1 1",
        "mixed.bias": "(heads head_dim)",
        "value.weight": "(heads head_dim) dim 1 1",
        "value.bias": "(heads head_dim)",
        **{f"scales.{i}.weight": f"head_dim 1 kernel{i}@centre kernel{i}@centre" for i in range(MOST)},
        **{f"scales.{i}.bias": "head_dim" for i in range(MOST)},
        "aggregate.weight": "(head_dim heads expansion) heads 1 1",
        "aggregate.bias": "(head_dim heads expansion)",
        **{f"norm.{part}": "(head_dim heads expansion)" for part in ("weight", "bias", "running_mean", "running_var")},
        "gather.weight": "(heads head_dim) (head_dim heads expansion) 1 1",
        "gather.bias": "(heads head_dim)",
        "out.weight": "dim (heads head_dim) 1 1",
        "out.bias": "dim",
    }

    def __init__(self, dim: int, heads: int, head_dim: int, kernel: int, expansion: int) -> None:
        super().__init__()
        inner = heads * head_dim
        self.heads = heads
        self.mixed = pointwise(dim, inner)
        self.value = pointwise(dim, inner)
        self.scales = nn.ModuleList(depthwise(head_dim, kernel + 2 * i) for i in range(heads))
        self.aggregate = nn.Conv2d(inner, inner * expansion, 1, groups=head_dim)
        self.norm = nn.BatchNorm2d(inner * expansion)
        self.gather = pointwise(inner * expansion, inner)
        self.out = pointwise(inner, dim)

    def forward(self, x: Tensor) -> Tensor:
        parts = self.mixed(x).chunk(self.heads, 1)
        scales = torch.stack([conv(part) for conv, part in zip(self.scales, parts, strict=True)], 2).flatten(1, 2)
        weights = self.gather(F.gelu(self.norm(self.aggregate(scales))))
        return self.out(weights * self.value(x))

    @classmethod
    def axes(cls, **sizes: int) -> dict[str, int]:
        return {**sizes, **{f"kernel{i}": sizes["kernel"] + 2 * i for i in range(MOST)}}

    @classmethod
    def check(cls, shape: tuple[int, ...], **sizes: int) -> None:
        odd(cls, kernel=sizes["kernel"])
        require(1 <= sizes["heads"] <= MOST, cls, "heads", sizes["heads"], f"1 to {MOST}")

    @classmethod
    def work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        dim, heads, head_dim, expansion = (sizes[size] for size in ("dim", "heads", "head_dim", "expansion"))
        inner = heads * head_dim
        taps = sum((sizes["kernel"] + 2 * i) ** 2 for i in range(heads))
        macs = inner * (3 * dim + expansion * (heads + inner)) + head_dim * taps
        return height * width * macs, height * width * (inner * (4 + expansion) + dim)


@register
class FocalModulation(Operator):
    """Focal modulation (Yang et al., arXiv 2203.11926): contexts of growing reach, each from the one before by a depthwise
    convolution and GELU, and last the mean of the image; gates of each token weigh them, the sum multiplies the query.

    Args:
        dim: channels in and out.
        inner: channels of query and context.
        levels: local contexts, 1 to 6; level i has a kernel of ``kernel + 2 i``.
        kernel: odd side of the first kernel.
    """

    name, role, family, prenorm = "focal_modulation", "mixer", "conv", "batch"
    elastic = {"inner": (16, 32), "levels": (1, 2, 3), "kernel": (3, 5)}
    layout = {
        "enter.weight": "(2 inner) dim 1 1",
        "enter.bias": "(2 inner)",
        "gates.weight": "gates dim 1 1",
        "gates.bias": "gates",
        **{f"contexts.{i}.weight": f"inner 1 kernel{i}@centre kernel{i}@centre" for i in range(MOST)},
        "modulate.weight": "inner inner 1 1",
        "modulate.bias": "inner",
        "out.weight": "dim inner 1 1",
        "out.bias": "dim",
    }

    def __init__(self, dim: int, inner: int, levels: int, kernel: int) -> None:
        super().__init__()
        self.enter = pointwise(dim, 2 * inner)
        self.gates = pointwise(dim, levels + 1)  # the first is the whole image's, so that fewer levels are a prefix
        self.contexts = nn.ModuleList(depthwise(inner, kernel + 2 * i, bias=False) for i in range(levels))
        self.modulate = pointwise(inner, inner)
        self.out = pointwise(inner, dim)

    def forward(self, x: Tensor) -> Tensor:
        query, context = self.enter(x).chunk(2, 1)
        whole, *gates = self.gates(x).split(1, 1)
        total = torch.zeros_like(query)
        for conv, gate in zip(self.contexts, gates, strict=True):
            context = F.gelu(conv(context))
            total = total + context * gate
        total = total + F.gelu(context.mean((2, 3), keepdim=True)) * whole
        return self.out(query * self.modulate(total))

    @classmethod
    def axes(cls, **sizes: int) -> dict[str, int]:
        kernels = {f"kernel{i}": sizes["kernel"] + 2 * i for i in range(MOST)}
        return {**sizes, **kernels, "gates": sizes["levels"] + 1}

    @classmethod
    def check(cls, shape: tuple[int, ...], **sizes: int) -> None:
        odd(cls, kernel=sizes["kernel"])
        require(1 <= sizes["levels"] <= MOST, cls, "levels", sizes["levels"], f"1 to {MOST}")

    @classmethod
    def work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        dim, inner, levels = sizes["dim"], sizes["inner"], sizes["levels"]
        taps = sum((sizes["kernel"] + 2 * i) ** 2 for i in range(levels))
        macs = dim * (3 * inner + levels + 1) + inner * (inner + taps)
        return height * width * macs, height * width * (inner * (3 + levels) + levels + 1 + dim)
