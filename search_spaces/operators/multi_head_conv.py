"""Multi-head convolutional attention: a grouped convolution, a group a head."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from search_spaces.errors import SpaceError
from search_spaces.operators.base import Operator
from search_spaces.operators.convolutions import folded, pointwise, with_weights
from search_spaces.operators.legal import odd
from search_spaces.operators.registry import register


@register
class MultiHeadConv(Operator):
    """Multi-head convolution (Li et al., Next-ViT, arXiv 2207.05501): every head convolves its own channels, then batch
    norm, ReLU and a 1x1 over all heads. The norm folds into the convolution: see `merged`.

    A narrower operator keeps its first heads. The channels of a head cannot be shared: a slot of a space offers one number.

    Args:
        dim: channels in and out.
        head_dim: channels of a head, a divisor of ``dim``.
        expansion: channels that a head gives over those it reads.
        kernel: odd side of the kernel.
    """

    name, role, family, prenorm = "multi_head_conv", "mixer", "conv", "batch"
    elastic = {"head_dim": (8,), "expansion": (1, 2), "kernel": (3, 5)}
    layout = {
        "heads.weight": "(count hidden) head_dim kernel@centre kernel@centre",
        **{f"norm.{part}": "(count hidden)" for part in ("weight", "bias", "running_mean", "running_var")},
        "project.weight": "dim (count hidden) 1 1",
        "project.bias": "dim",
    }

    def __init__(self, dim: int, head_dim: int, expansion: int, kernel: int) -> None:
        super().__init__()
        groups = dim // head_dim
        self.heads = nn.Conv2d(dim, dim * expansion, kernel, padding=kernel // 2, groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(dim * expansion)
        self.project = pointwise(dim * expansion, dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.project(torch.relu(self.norm(self.heads(x))))

    def merged(self) -> nn.Sequential:
        """The module without a norm that equals this operator in evaluation mode."""
        old = self.heads
        conv = nn.Conv2d(old.in_channels, old.out_channels, old.kernel_size, 1, old.padding, 1, old.groups)  # type: ignore[arg-type]
        return nn.Sequential(with_weights(conv, *folded(old, self.norm)), nn.ReLU(), self.project)

    @classmethod
    def axes(cls, **sizes: int) -> dict[str, int]:
        count = sizes["dim"] // sizes["head_dim"]
        return {**sizes, "count": count, "hidden": sizes["head_dim"] * sizes["expansion"]}

    @classmethod
    def check(cls, shape: tuple[int, ...], **sizes: int) -> None:
        if not sizes["head_dim"] or sizes["dim"] % sizes["head_dim"]:
            raise SpaceError(
                f"operator {cls.name!r}: head_dim: got {sizes['head_dim']}; legal: divisors of dim {sizes['dim']}"
            )
        odd(cls, kernel=sizes["kernel"])

    @classmethod
    def work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        tokens, dim, hidden = height * width, sizes["dim"], sizes["dim"] * sizes["expansion"]
        return tokens * hidden * (sizes["head_dim"] * sizes["kernel"] ** 2 + dim), tokens * (hidden + dim)
