"""Attention in the form of a feed-forward network: keys and values are convolution kernels."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from search_spaces.operators.base import Operator
from search_spaces.operators.legal import odd, positive
from search_spaces.operators.registry import register


@register
class FFNAttention(Operator):
    """FFNified attention (Yun et al., MetaMixer, arXiv 2406.02021): every channel is compared with kernels of its own (the
    keys), GELU in place of softmax, and what it finds adds up other kernels (the values).

    Args:
        dim: channels in and out.
        keys: kernels a channel is compared with.
        kernel: odd side of the keys.
        reach: odd side of the values.
    """

    name, role, family = "ffn_attention", "mixer", "conv"
    elastic = {"keys": (1, 2, 3), "kernel": (3, 5, 7), "reach": (1, 3, 7)}
    layout = {
        "compare.weight": "(dim keys) 1 kernel@centre kernel@centre",
        "compare.bias": "(dim keys)",
        "aggregate.weight": "dim keys reach@centre reach@centre",
        "aggregate.bias": "dim",
    }

    def __init__(self, dim: int, keys: int, kernel: int, reach: int) -> None:
        super().__init__()
        self.compare = nn.Conv2d(dim, dim * keys, kernel, padding=kernel // 2, groups=dim)
        self.aggregate = nn.Conv2d(dim * keys, dim, reach, padding=reach // 2, groups=dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.aggregate(F.gelu(self.compare(x)))

    @classmethod
    def check(cls, shape: tuple[int, ...], **sizes: int) -> None:
        positive(cls, keys=sizes["keys"])
        odd(cls, kernel=sizes["kernel"], reach=sizes["reach"])

    @classmethod
    def work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        tokens, hidden = height * width, sizes["dim"] * sizes["keys"]
        return tokens * hidden * (sizes["kernel"] ** 2 + sizes["reach"] ** 2), tokens * (hidden + sizes["dim"])
