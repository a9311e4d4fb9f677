"""Pooling as a token mixer: no parameters, no multiplications."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from search_spaces.operators.base import Operator
from search_spaces.operators.legal import odd
from search_spaces.operators.registry import register


class _Pool(Operator):
    role, family = "mixer", "pool"
    elastic = {"kernel": (3, 5, 7)}

    def __init__(self, dim: int, kernel: int) -> None:
        super().__init__()
        self.kernel = kernel

    @classmethod
    def check(cls, shape: tuple[int, ...], **sizes: int) -> None:
        odd(cls, kernel=sizes["kernel"])

    @classmethod
    def work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        return 0, 0


@register
class AveragePool(_Pool):
    """Mean of the neighbourhood less the token itself (Yu et al., PoolFormer, arXiv 2111.11418). Pixels beyond the border
    do not count, so a constant image gives zero.

    Args:
        dim: channels in and out.
        kernel: odd side of the neighbourhood.
    """

    name = "average_pool"

    def forward(self, x: Tensor) -> Tensor:
        return F.avg_pool2d(x, self.kernel, 1, self.kernel // 2, count_include_pad=False) - x


@register
class MaxPool(_Pool):
    """Largest value of the neighbourhood: the parameter-free stand-in for a depthwise convolution (Han et al., PfLayer,
    arXiv 2202.02777).

    Args:
        dim: channels in and out.
        kernel: odd side of the neighbourhood.
    """

    name = "max_pool"

    def forward(self, x: Tensor) -> Tensor:
        return F.max_pool2d(x, self.kernel, 1, self.kernel // 2)
