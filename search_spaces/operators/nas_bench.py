"""The operators of the tabular benchmarks NAS-Bench-201 and NAS-Bench-Macro, as their networks define them."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from search_spaces.operators.base import Operator
from search_spaces.operators.frame import ClassHead, halved
from search_spaces.operators.registry import register

_NORM = ("weight", "bias", "running_mean", "running_var")


@register
class ConvNormStem(Operator):
    """3x3 convolution without bias and batch norm; ``active`` adds a ReLU6.

    Args:
        channels: of the image.
        dim: channels out.
        active: 0 (NAS-Bench-201, Dong & Yang, arXiv 2001.00326) or 1 (NAS-Bench-Macro, Su et al., arXiv 2103.11922).
    """

    name, role, family = "conv_norm_stem", "stem", "conv"
    elastic = {"channels": (3,), "dim": (16, 32), "active": (0, 1)}
    layout = {"conv.weight": "dim channels 3 3", **{f"norm.{part}": "dim" for part in _NORM}}

    def __init__(self, channels: int, dim: int, active: int) -> None:
        super().__init__()
        self.active = active
        self.conv = nn.Conv2d(channels, dim, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(dim)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.conv(x))
        return F.relu6(x) if self.active else x

    @classmethod
    def output_shape(cls, shape: tuple[int, ...], **sizes: int) -> tuple[int, ...]:
        return sizes["dim"], *shape[1:]

    @classmethod
    def work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        tokens = height * width
        return tokens * 9 * sizes["channels"] * sizes["dim"], tokens * sizes["dim"]


@register
class ReluConvNorm(Operator):
    """ReLU, convolution without bias, batch norm: ``nor_conv_1x1`` and ``nor_conv_3x3`` of NAS-Bench-201.

    Args:
        dim: channels in and out.
        kernel: odd side of the kernel.
    """

    name, role, family = "relu_conv_norm", "edge", "conv"
    elastic = {"kernel": (1, 3)}
    layout = {"conv.weight": "dim dim kernel@centre kernel@centre", **{f"norm.{part}": "dim" for part in _NORM}}

    def __init__(self, dim: int, kernel: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(dim, dim, kernel, padding=kernel // 2, bias=False)
        self.norm = nn.BatchNorm2d(dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(F.relu(x)))

    @classmethod
    def work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        tokens, dim = height * width, sizes["dim"]
        return tokens * dim * dim * sizes["kernel"] ** 2, tokens * dim


@register
class PlainPooling(Operator):
    """Average over a 3x3 neighbourhood, borders not counted: ``avg_pool_3x3`` of NAS-Bench-201.

    Args:
        dim: channels in and out.
    """

    name, role, family = "plain_pooling", "edge", "pool"

    def __init__(self, dim: int) -> None:
        super().__init__()

    def forward(self, x: Tensor) -> Tensor:
        return F.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)

    @classmethod
    def work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        return 0, 0


@register
class Zero(Operator):
    """Zeros: ``none`` of NAS-Bench-201, so that a point with no other input has a value.

    Args:
        dim: channels in and out.
    """

    name, role = "zero", "edge"

    def __init__(self, dim: int) -> None:
        super().__init__()

    def forward(self, x: Tensor) -> Tensor:
        return x * 0.0

    @classmethod
    def work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        return 0, 0


@register
class ProjectedSkip(Operator):
    """1x1 convolution of stride 2 without bias and batch norm: what "identity" means in NAS-Bench-Macro where shapes change.

    Args:
        dim_in: channels in.
        dim_out: channels out.
    """

    name, role, family = "projected_skip", "downsample", "conv"
    elastic = {"dim_in": (8, 16), "dim_out": (16, 24)}
    layout = {"conv.weight": "dim_out dim_in 1 1", **{f"norm.{part}": "dim_out" for part in _NORM}}

    def __init__(self, dim_in: int, dim_out: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(dim_in, dim_out, 1, stride=2, bias=False)
        self.norm = nn.BatchNorm2d(dim_out)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(x))

    @classmethod
    def output_shape(cls, shape: tuple[int, ...], **sizes: int) -> tuple[int, ...]:
        return sizes["dim_out"], halved(shape[1]), halved(shape[2])

    @classmethod
    def work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        tokens = halved(height) * halved(width)
        return tokens * sizes["dim_in"] * sizes["dim_out"], tokens * sizes["dim_out"]


@register
class BasicBlock(Operator):
    """Two ReLU-convolution-norm of 3x3, the first of stride 2, beside average pooling and a 1x1 convolution: the
    down-sampling residual block of NAS-Bench-201. Odd sides are pooled with their last row or column alone.

    Args:
        dim_in: channels in.
        dim_out: channels out.
    """

    name, role, family = "basic_block", "downsample", "conv"
    elastic = {"dim_in": (8, 16), "dim_out": (16, 24)}
    layout = {
        "first.weight": "dim_out dim_in 3 3",
        **{f"first_norm.{part}": "dim_out" for part in _NORM},
        "second.weight": "dim_out dim_out 3 3",
        **{f"second_norm.{part}": "dim_out" for part in _NORM},
        "skip.weight": "dim_out dim_in 1 1",
    }

    def __init__(self, dim_in: int, dim_out: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(dim_in, dim_out, 3, stride=2, padding=1, bias=False)
        self.first_norm = nn.BatchNorm2d(dim_out)
        self.second = nn.Conv2d(dim_out, dim_out, 3, padding=1, bias=False)
        self.second_norm = nn.BatchNorm2d(dim_out)
        self.skip = nn.Conv2d(dim_in, dim_out, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y = self.first_norm(self.first(F.relu(x)))
        y = self.second_norm(self.second(F.relu(y)))
        height, width = x.shape[2:]
        edge = F.pad(x, (0, width % 2, 0, height % 2), mode="replicate") if height % 2 or width % 2 else x
        return y + self.skip(F.avg_pool2d(edge, 2))

    @classmethod
    def output_shape(cls, shape: tuple[int, ...], **sizes: int) -> tuple[int, ...]:
        return sizes["dim_out"], halved(shape[1]), halved(shape[2])

    @classmethod
    def work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        tokens, dim_in, dim_out = halved(height) * halved(width), sizes["dim_in"], sizes["dim_out"]
        return tokens * dim_out * (10 * dim_in + 9 * dim_out), 3 * tokens * dim_out


@register
class NormPooledHead(ClassHead):
    """Batch norm, ReLU, mean over the image, linear classifier: the head of NAS-Bench-201.

    Args:
        dim: channels in.
        classes: number of classes.
    """

    name = "norm_pooled_head"
    elastic = {"dim": (16, 32), "classes": (10,)}
    layout = {
        **{f"norm.{part}": "dim" for part in _NORM},
        "classify.weight": "classes dim",
        "classify.bias": "classes",
    }

    def __init__(self, dim: int, classes: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(dim)
        self.classify = nn.Linear(dim, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.classify(F.relu(self.norm(x)).mean((2, 3)))

    @classmethod
    def work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        return sizes["dim"] * sizes["classes"], sizes["classes"]


@register
class ConvPooledHead(ClassHead):
    """1x1 convolution without bias, batch norm, ReLU6, mean over the image, linear classifier: the head of MobileNetV2.

    Args:
        dim: channels in.
        features: channels before the classifier.
        classes: number of classes.
    """

    name, family = "conv_pooled_head", "conv"
    elastic = {"dim": (16, 32), "features": (64, 96), "classes": (10,)}
    layout = {
        "conv.weight": "features dim 1 1",
        **{f"norm.{part}": "features" for part in _NORM},
        "classify.weight": "classes features",
        "classify.bias": "classes",
    }

    def __init__(self, dim: int, features: int, classes: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(dim, features, 1, bias=False)
        self.norm = nn.BatchNorm2d(features)
        self.classify = nn.Linear(features, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.classify(F.relu6(self.norm(self.conv(x))).mean((2, 3)))

    @classmethod
    def work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        tokens, features = height * width, sizes["features"]
        return features * (tokens * sizes["dim"] + sizes["classes"]), tokens * features + sizes["classes"]
