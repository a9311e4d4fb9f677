"""Stems: from the pixels of an image to the tokens of the first stage."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from search_spaces.operators.base import Operator
from search_spaces.operators.layers import ChannelNorm, to_image, to_tokens
from search_spaces.operators.legal import odd, positive, require
from search_spaces.operators.patches import CrossScaleConv, PatchConv, covered
from search_spaces.operators.registry import register


class _Stem(Operator):
    """An image of ``channels`` to ``dim`` channels at a smaller resolution; images that patches do not divide are padded."""

    role, family = "stem", "conv"

    @classmethod
    def reduction(cls, **sizes: int) -> int:
        """Pixels a token, along each side."""
        return sizes["stride"]

    @classmethod
    def output_shape(cls, shape: tuple[int, ...], **sizes: int) -> tuple[int, ...]:
        reduction = cls.reduction(**sizes)
        return sizes["dim"], covered(shape[1], reduction), covered(shape[2], reduction)

    @classmethod
    def check(cls, shape: tuple[int, ...], **sizes: int) -> None:
        positive(cls, **sizes)

    @classmethod
    def _tokens(cls, height: int, width: int, **sizes: int) -> int:
        _, rows, columns = cls.output_shape((0, height, width), **sizes)
        return rows * columns


@register
class PatchStem(_Stem):
    """Patches of ``patch`` x ``patch`` pixels, each mapped to a token (Dosovitskiy et al., ViT, arXiv 2010.11929), and a norm
    as in ConvNeXt (arXiv 2201.03545).

    Args:
        channels: of the image.
        dim: channels out.
        patch: side of a patch; slices keep the centre, so it is even or odd throughout a space.
    """

    name = "patch_stem"
    elastic = {"channels": (3,), "dim": (16, 32), "patch": (2, 4)}
    layout = {
        "patches.weight": "dim channels patch@centre patch@centre",
        "patches.bias": "dim",
        "norm.weight": "dim",
        "norm.bias": "dim",
    }

    def __init__(self, channels: int, dim: int, patch: int) -> None:
        super().__init__()
        self.patches = PatchConv(channels, dim, patch, patch)
        self.norm = ChannelNorm(dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.patches(x))

    @classmethod
    def reduction(cls, **sizes: int) -> int:
        return sizes["patch"]

    @classmethod
    def work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        tokens = cls._tokens(height, width, **sizes)
        return tokens * sizes["channels"] * sizes["patch"] ** 2 * sizes["dim"], tokens * sizes["dim"]


@register
class OverlapStem(_Stem):
    """Overlapping patches by one strided convolution and a norm (Wu et al., CvT, arXiv 2103.15808; PVTv2, arXiv 2106.13797).

    Args:
        channels: of the image.
        dim: channels out.
        kernel: side of a patch; slices keep the centre, so it is odd or even throughout a space.
        stride: pixels between patches.
    """

    name = "overlap_stem"
    elastic = {"channels": (3,), "dim": (16, 32), "kernel": (3, 5, 7), "stride": (1, 2, 4)}
    layout = {
        "patches.weight": "dim channels kernel@centre kernel@centre",
        "patches.bias": "dim",
        "norm.weight": "dim",
        "norm.bias": "dim",
    }

    def __init__(self, channels: int, dim: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.patches = PatchConv(channels, dim, kernel, stride)
        self.norm = ChannelNorm(dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.patches(x))

    @classmethod
    def work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        tokens = cls._tokens(height, width, **sizes)
        return tokens * sizes["channels"] * sizes["kernel"] ** 2 * sizes["dim"], tokens * sizes["dim"]


@register
class ConvPoolStem(_Stem):
    """The convolutional tokenizer of CCT (Hassani et al., arXiv 2104.05704): convolution, ReLU and 3x3 max pooling of stride
    2, ``layers`` times. No norm.

    Args:
        channels: of the image.
        dim: channels out, and of every layer.
        layers: 1 or 2; each halves the image.
        kernel: odd side of the kernels.
    """

    name = "conv_pool_stem"
    elastic = {"channels": (3,), "dim": (16, 32), "layers": (1, 2), "kernel": (3, 5)}
    layout = {
        "first.weight": "dim channels kernel@centre kernel@centre",
        "second.weight": "dim dim kernel@centre kernel@centre",
    }

    def __init__(self, channels: int, dim: int, layers: int, kernel: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, dim, kernel, padding=kernel // 2, bias=False)
        self.second = nn.Conv2d(dim, dim, kernel, padding=kernel // 2, bias=False) if layers == 2 else None

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu(self.first(x)), 3, 2, 1)
        return x if self.second is None else F.max_pool2d(F.relu(self.second(x)), 3, 2, 1)

    @classmethod
    def reduction(cls, **sizes: int) -> int:
        return 2 ** sizes["layers"]

    @classmethod
    def check(cls, shape: tuple[int, ...], **sizes: int) -> None:
        super().check(shape, **sizes)
        require(sizes["layers"] in (1, 2), cls, "layers", sizes["layers"], "1, 2")
        odd(cls, kernel=sizes["kernel"])

    @classmethod
    def work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        dim, taps, pixels = sizes["dim"], sizes["kernel"] ** 2, height * width
        macs, writes = pixels * taps * sizes["channels"] * dim, pixels * dim
        if sizes["layers"] == 2:
            pixels = covered(height, 2) * covered(width, 2)
            macs, writes = macs + pixels * taps * dim * dim, writes + pixels * dim
        return macs, writes


@register
class SoftSplitStem(_Stem):
    """Tokens-to-token stem (Yuan et al., T2T, arXiv 2101.11986) in a simple form: overlapping patches unfolded and mapped to
    tokens, one head of attention with a shortcut that re-structures them, and a second, 3x3 split of the tokens. Strides 2 and
    2. An unfolding with a linear map after it is a convolution, and computed as one.

    Args:
        channels: of the image.
        dim: channels out.
        token_dim: channels of the tokens that attend.
        kernel: side of the first patches, 2 or more; slices keep the centre.
    """

    name, family = "soft_split_stem", "attention"
    elastic = {"channels": (3,), "dim": (16, 32), "token_dim": (8, 16), "kernel": (3, 5, 7)}
    layout = {
        "first.weight": "token_dim channels kernel@centre kernel@centre",
        "first.bias": "token_dim",
        "norm.weight": "token_dim",
        "norm.bias": "token_dim",
        "qkv.weight": "(3 token_dim) token_dim",
        "qkv.bias": "(3 token_dim)",
        "out.weight": "token_dim token_dim",
        "out.bias": "token_dim",
        "second.weight": "dim token_dim 3 3",
        "second.bias": "dim",
    }

    def __init__(self, channels: int, dim: int, token_dim: int, kernel: int) -> None:
        super().__init__()
        self.first = PatchConv(channels, token_dim, kernel, 2)
        self.norm = nn.LayerNorm(token_dim)
        self.qkv = nn.Linear(token_dim, 3 * token_dim)
        self.out = nn.Linear(token_dim, token_dim)
        self.second = PatchConv(token_dim, dim, 3, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        tokens = to_tokens(x)
        q, k, v = self.qkv(self.norm(tokens)).chunk(3, -1)
        weights = ((q * q.shape[-1] ** -0.5) @ k.transpose(1, 2)).softmax(-1)
        tokens = tokens + self.out(weights @ v)
        return self.second(to_image(tokens, x.shape[2], x.shape[3]))

    @classmethod
    def reduction(cls, **sizes: int) -> int:
        return 4

    @classmethod
    def check(cls, shape: tuple[int, ...], **sizes: int) -> None:
        super().check(shape, **sizes)
        require(sizes["kernel"] >= 2, cls, "kernel", sizes["kernel"], "2 or more")

    @classmethod
    def work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        dim, inner, pixels = sizes["dim"], sizes["token_dim"], covered(height, 2) * covered(width, 2)
        macs = pixels * inner * (sizes["kernel"] ** 2 * sizes["channels"] + 4 * inner + 2 * pixels)
        tokens = cls._tokens(height, width, **sizes)
        return macs + tokens * 9 * inner * dim, pixels * (6 * inner + pixels) + tokens * dim


@register
class CrossScaleStem(_Stem):
    """Cross-scale embedding (Wang et al., CrossFormer, arXiv 2108.00154): patches of several sizes around the same places, each
    mapped to its share of the channels: a half, a quarter and two eighths. Kernels are 1, 2, 4 and 8 strides wide.

    Args:
        channels: of the image.
        dim: channels out, a multiple of 8.
        stride: pixels between patches.
        scales: 1 to 4 kernel sizes; with fewer, the rest of the channels have the largest that is left. 1 is a patch stem.
    """

    name = "cross_scale_stem"
    elastic = {"channels": (3,), "dim": (16, 32), "stride": (4,), "scales": (1, 2, 3, 4)}
    shares = (4, 2, 1, 1)
    layout = {
        **{
            key: axes
            for n, share in enumerate(shares)
            for key, axes in {
                f"patches.scales.{n}.weight": f"(groups {share}) channels kernel{n}@centre kernel{n}@centre",
                f"patches.scales.{n}.bias": f"(groups {share})",
            }.items()
        },
        "norm.weight": "dim",
        "norm.bias": "dim",
    }

    def __init__(self, channels: int, dim: int, stride: int, scales: int) -> None:
        super().__init__()
        self.patches = CrossScaleConv(channels, dim, self.kernels(stride, scales), self.shares, stride)
        self.norm = ChannelNorm(dim)

    @staticmethod
    def kernels(stride: int, scales: int) -> tuple[int, ...]:
        """Side of the kernel of every share of the channels."""
        return tuple(stride * 2 ** min(n, scales - 1) for n in range(4))

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.patches(x))

    @classmethod
    def axes(cls, **sizes: int) -> dict[str, int]:
        kernels = cls.kernels(sizes["stride"], sizes["scales"])
        return {**sizes, "groups": sizes["dim"] // 8, **{f"kernel{n}": kernel for n, kernel in enumerate(kernels)}}

    @classmethod
    def check(cls, shape: tuple[int, ...], **sizes: int) -> None:
        super().check(shape, **sizes)
        require(1 <= sizes["scales"] <= 4, cls, "scales", sizes["scales"], "1, 2, 3, 4")
        require(sizes["dim"] % 8 == 0, cls, "dim", sizes["dim"], "multiples of 8")

    @classmethod
    def work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        tokens, dim = cls._tokens(height, width, **sizes), sizes["dim"]
        kernels = cls.kernels(sizes["stride"], sizes["scales"])
        taps = sum(share * kernel**2 for share, kernel in zip(cls.shares, kernels, strict=True))
        return tokens * sizes["channels"] * (dim // 8) * taps, tokens * dim
