"""More channel mixers: MLPs of any depth, and the two that look at their neighbours."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from search_spaces.operators.legal import flag, odd, positive, require
from search_spaces.operators.mlp import ChannelMixer
from search_spaces.operators.registry import register


@register
class DeepMLP(ChannelMixer):
    """MLP of 0 to 3 linear layers with GELU between them: how deep must a channel mixer be, and is it needed at all?
    Depth 2 is ``mlp``; depth 1 is one linear map; depth 0 adds nothing.

    Args:
        dim: channels in and out.
        ratio: hidden channels over ``dim`` (depths 2 and 3).
        depth: linear layers, 0 to 3.
    """

    name = "deep_mlp"
    elastic = {"ratio": (1, 2, 4), "depth": (0, 1, 2, 3)}
    layout = {
        "first.weight": "first_out dim",
        "first.bias": "first_out",
        "middle.weight": "hidden hidden",
        "middle.bias": "hidden",
        "last.weight": "dim hidden",
        "last.bias": "dim",
    }

    def __init__(self, dim: int, ratio: int, depth: int) -> None:
        super().__init__()
        hidden = dim * ratio
        self.first = nn.Linear(dim, hidden if depth > 1 else dim) if depth else None
        self.middle = nn.Linear(hidden, hidden) if depth > 2 else None
        self.last = nn.Linear(hidden, dim) if depth > 1 else None

    def forward(self, x: Tensor) -> Tensor:
        if self.first is None:
            return x * 0.0
        x = self.first(x.permute(0, 2, 3, 1))
        if self.middle is not None:
            x = self.middle(F.gelu(x))
        if self.last is not None:
            x = self.last(F.gelu(x))
        return x.permute(0, 3, 1, 2)

    @classmethod
    def axes(cls, **sizes: int) -> dict[str, int]:
        hidden = sizes["dim"] * sizes["ratio"]
        return {**sizes, "hidden": hidden, "first_out": hidden if sizes["depth"] > 1 else sizes["dim"]}

    @classmethod
    def check(cls, shape: tuple[int, ...], **sizes: int) -> None:
        require(0 <= sizes["depth"] <= 3, cls, "depth", sizes["depth"], "0, 1, 2, 3")
        positive(cls, ratio=sizes["ratio"])

    @classmethod
    def work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        tokens, dim, hidden = height * width, sizes["dim"], sizes["dim"] * sizes["ratio"]
        macs = (0, dim * dim, 2 * dim * hidden, 2 * dim * hidden + hidden * hidden)[sizes["depth"]]
        writes = (0, dim, hidden + dim, 2 * hidden + dim)[sizes["depth"]]
        return tokens * macs, tokens * writes


class _Depthwise(ChannelMixer):
    """Channel mixers with a depthwise convolution, whose kernel is odd and is cut at its centre.

    Args:
        dim: channels in and out.
        ratio: hidden channels over ``dim``.
        kernel: odd side of the depthwise kernel.
    """

    @classmethod
    def check(cls, shape: tuple[int, ...], **sizes: int) -> None:
        odd(cls, kernel=sizes["kernel"])
        positive(cls, ratio=sizes["ratio"])


@register
class ConvGLU(_Depthwise):
    """Convolutional GLU (Shi, TransNeXt, arXiv 2311.17132): the gate sees its neighbours,
    ``down(gelu(depthwise(gate)) * up)``.

    Args:
        dim: channels in and out.
        ratio: hidden channels over ``dim``.
        kernel: odd side of the depthwise kernel.
    """

    name = "conv_glu"
    elastic = {"ratio": (1, 2, 3), "kernel": (1, 3, 5)}
    layout = {
        "gate_up.weight": "(2 hidden) dim 1 1",
        "gate_up.bias": "(2 hidden)",
        "depthwise.weight": "hidden 1 kernel@centre kernel@centre",
        "depthwise.bias": "hidden",
        "down.weight": "dim hidden 1 1",
        "down.bias": "dim",
    }

    def __init__(self, dim: int, ratio: int, kernel: int) -> None:
        super().__init__()
        hidden = dim * ratio
        self.gate_up = nn.Conv2d(dim, 2 * hidden, 1)
        self.depthwise = nn.Conv2d(hidden, hidden, kernel, padding=kernel // 2, groups=hidden)
        self.down = nn.Conv2d(hidden, dim, 1)

    def forward(self, x: Tensor) -> Tensor:
        gate, up = self.gate_up(x).chunk(2, 1)
        return self.down(F.gelu(self.depthwise(gate)) * up)

    @classmethod
    def work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        tokens, dim, hidden = height * width, sizes["dim"], sizes["dim"] * sizes["ratio"]
        return tokens * hidden * (3 * dim + sizes["kernel"] ** 2), tokens * (3 * hidden + dim)


@register
class DepthwiseMLP(_Depthwise):
    """MLP with a depthwise convolution before its activation, as SegFormer's Mix-FFN (Xie et al., arXiv 2105.15203) and
    PVTv2 (arXiv 2106.13797); with the shortcut it is the inverted residual FFN of CMT (Guo et al., arXiv 2107.06263) without
    its batch norms.

    Args:
        dim: channels in and out.
        ratio: hidden channels over ``dim``.
        kernel: odd side of the depthwise kernel.
        shortcut: 1 to add the convolution's input to its output.
    """

    name = "depthwise_mlp"
    elastic = {"ratio": (2, 3, 4), "kernel": (1, 3, 5), "shortcut": (0, 1)}
    layout = {
        "up.weight": "hidden dim 1 1",
        "up.bias": "hidden",
        "depthwise.weight": "hidden 1 kernel@centre kernel@centre",
        "depthwise.bias": "hidden",
        "down.weight": "dim hidden 1 1",
        "down.bias": "dim",
    }

    def __init__(self, dim: int, ratio: int, kernel: int, shortcut: int) -> None:
        super().__init__()
        hidden = dim * ratio
        self.shortcut = bool(shortcut)
        self.up = nn.Conv2d(dim, hidden, 1)
        self.depthwise = nn.Conv2d(hidden, hidden, kernel, padding=kernel // 2, groups=hidden)
        self.down = nn.Conv2d(hidden, dim, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.up(x)
        near = self.depthwise(x)
        return self.down(F.gelu(x + near if self.shortcut else near))

    @classmethod
    def check(cls, shape: tuple[int, ...], **sizes: int) -> None:
        super().check(shape, **sizes)
        flag(cls, shortcut=sizes["shortcut"])

    @classmethod
    def work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        tokens, dim, hidden = height * width, sizes["dim"], sizes["dim"] * sizes["ratio"]
        return tokens * hidden * (2 * dim + sizes["kernel"] ** 2), tokens * (2 * hidden + dim)
