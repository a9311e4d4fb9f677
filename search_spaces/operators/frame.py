"""The frame of an image network: convolutional stem, strided down-sampling and pooled heads."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from search_spaces.operators.base import Operator
from search_spaces.operators.layers import ChannelNorm, to_tokens
from search_spaces.operators.legal import require
from search_spaces.operators.registry import register


def halved(side: int) -> int:
    """Side of an image after a 3x3 convolution of stride 2 with padding 1."""
    return (side + 1) // 2


@register
class ConvStem(Operator):
    """3x3 convolutions down to the first stage, then a norm. Stride 4 takes two convolutions (Xiao et al., arXiv 2106.14881).

    Args:
        channels: of the image.
        dim: channels out.
        stride: 1, 2 or 4.
    """

    name, role, family = "conv_stem", "stem", "conv"
    elastic = {"channels": (3,), "dim": (16, 32), "stride": (1, 2, 4)}
    layout = {
        "first.weight": "dim channels 3 3",
        "first.bias": "dim",
        "second.weight": "dim dim 3 3",
        "second.bias": "dim",
        "norm.weight": "dim",
        "norm.bias": "dim",
    }

    def __init__(self, channels: int, dim: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, dim, 3, stride=min(stride, 2), padding=1)
        self.second = nn.Conv2d(dim, dim, 3, stride=2, padding=1) if stride == 4 else None
        self.norm = ChannelNorm(dim)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        if self.second is not None:
            x = self.second(F.gelu(x))
        return self.norm(x)

    @classmethod
    def output_shape(cls, shape: tuple[int, ...], **sizes: int) -> tuple[int, ...]:
        height, width = shape[1:]
        for _ in range({1: 0, 2: 1, 4: 2}[sizes["stride"]]):
            height, width = halved(height), halved(width)
        return sizes["dim"], height, width

    @classmethod
    def check(cls, shape: tuple[int, ...], **sizes: int) -> None:
        require(sizes["stride"] in (1, 2, 4), cls, "stride", sizes["stride"], "1, 2, 4")

    @classmethod
    def work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        dim = sizes["dim"]
        if sizes["stride"] > 1:
            height, width = halved(height), halved(width)
        macs, activations = height * width * 9 * sizes["channels"] * dim, height * width * dim
        if sizes["stride"] == 4:
            tokens = halved(height) * halved(width)
            macs, activations = macs + tokens * 9 * dim * dim, activations + tokens * dim
        return macs, activations


@register
class StridedConv(Operator):
    """Norm, then a 3x3 convolution of stride 2: between two stages.

    Args:
        dim_in: channels of the stage before.
        dim_out: channels of the stage after.
    """

    name, role, family = "strided_conv", "downsample", "conv"
    elastic = {"dim_in": (16, 24), "dim_out": (32, 48)}
    layout = {
        "norm.weight": "dim_in",
        "norm.bias": "dim_in",
        "conv.weight": "dim_out dim_in 3 3",
        "conv.bias": "dim_out",
    }

    def __init__(self, dim_in: int, dim_out: int) -> None:
        super().__init__()
        self.norm = ChannelNorm(dim_in)
        self.conv = nn.Conv2d(dim_in, dim_out, 3, stride=2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(self.norm(x))

    @classmethod
    def output_shape(cls, shape: tuple[int, ...], **sizes: int) -> tuple[int, ...]:
        return sizes["dim_out"], halved(shape[1]), halved(shape[2])

    @classmethod
    def work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        tokens = halved(height) * halved(width)
        return tokens * 9 * sizes["dim_in"] * sizes["dim_out"], tokens * sizes["dim_out"]


class ClassHead(Operator):
    """Base of what ends a classifier of images: ``(B, dim, H, W)`` -> ``(B, classes)``."""

    role, family = "head", "other"

    @classmethod
    def output_shape(cls, shape: tuple[int, ...], **sizes: int) -> tuple[int, ...]:
        return (sizes["classes"],)


@register
class PooledHead(ClassHead):
    """Mean over the image, norm, linear classifier: ``(B, dim, H, W)`` -> ``(B, classes)``.

    Args:
        dim: channels in.
        classes: number of classes.
    """

    name = "pooled_head"
    elastic = {"dim": (16, 32), "classes": (10,)}
    layout = {"norm.weight": "dim", "norm.bias": "dim", "classify.weight": "classes dim", "classify.bias": "classes"}

    def __init__(self, dim: int, classes: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.classify = nn.Linear(dim, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.classify(self.norm(x.mean((2, 3))))

    @classmethod
    def work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        return sizes["dim"] * sizes["classes"], sizes["classes"]


@register
class AttentionPooledHead(ClassHead):
    """Norm, a mean over the tokens weighted by a softmax of their scores, linear classifier (sequence pooling of CCT, Hassani
    et al., arXiv 2104.05704): ``(B, dim, H, W)`` -> ``(B, classes)``.

    Args:
        dim: channels in.
        classes: number of classes.
    """

    name = "attention_pooled_head"
    elastic = {"dim": (16, 32), "classes": (10,)}
    layout = {
        "norm.weight": "dim",
        "norm.bias": "dim",
        "score.weight": "1 dim",
        "score.bias": "1",
        "classify.weight": "classes dim",
        "classify.bias": "classes",
    }

    def __init__(self, dim: int, classes: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.score = nn.Linear(dim, 1)
        self.classify = nn.Linear(dim, classes)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.norm(to_tokens(x))
        weights = self.score(tokens).softmax(1)
        return self.classify((weights.transpose(1, 2) @ tokens).squeeze(1))

    @classmethod
    def work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        tokens, dim, classes = height * width, sizes["dim"], sizes["classes"]
        return 2 * tokens * dim + dim * classes, tokens + dim + classes
