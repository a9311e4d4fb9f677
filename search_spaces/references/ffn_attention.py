"""Evidence for attention in the form of a feed-forward network."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from search_spaces.operators.ffn_attention import FFNAttention
from search_spaces.references.registry import degenerate, reference
from search_spaces.references.slow import convolve_depthwise, gelu


@reference("ffn_attention")
def ffn_attention(op: Any, x: Tensor) -> Tensor:
    """Key by key: what every channel finds with its key number k, spread by its value number k."""
    keys = op.aggregate.weight.shape[1]
    y = op.aggregate.bias[:, None, None]
    for k in range(keys):
        found = gelu(convolve_depthwise(x, op.compare.weight[k::keys], op.compare.bias[k::keys]))
        y = y + convolve_depthwise(found, op.aggregate.weight[:, k : k + 1])
    return y


@degenerate("ffn_attention", "one-tap keys and values: a feed-forward network of each channel by itself")
def one_tap() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    op = FFNAttention(dim=8, keys=3, kernel=1, reach=1).double()
    x = torch.randn(2, 8, 9, 6, dtype=torch.float64)
    hidden = gelu(x[:, :, None] * op.compare.weight.view(8, 3, 1, 1) + op.compare.bias.view(8, 3, 1, 1))  # type: ignore[union-attr]
    return op(x), (hidden * op.aggregate.weight).sum(2) + op.aggregate.bias.view(8, 1, 1)  # type: ignore[union-attr]


@degenerate("ffn_attention", "keys where GELU is linear, values of one tap: a depthwise convolution")
def linear_keys() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    op = FFNAttention(dim=8, keys=1, kernel=5, reach=1).double()
    op.compare.bias.fill_(100.0)  # type: ignore[union-attr]
    op.aggregate.weight.fill_(1.0)
    op.aggregate.bias.fill_(-100.0)  # type: ignore[union-attr]
    x = torch.randn(2, 8, 9, 6, dtype=torch.float64)
    return op(x), convolve_depthwise(x, op.compare.weight)
