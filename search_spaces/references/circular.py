"""Circular attention against a sum over all shifts of the tokens."""

from __future__ import annotations

import torch
from torch import Tensor

from search_spaces.operators.circular import CircularAttention
from search_spaces.references.registry import degenerate, reference


@reference("circular_attention")
def circular_attention(op: CircularAttention, x: Tensor) -> Tensor:
    """Out of token ``i``: the values of token ``i + n`` weighted by weight ``n``, by torch's FFT."""
    tokens = x.permute(0, 2, 3, 1).flatten(1, 2)
    scores = tokens @ op.score.weight.T + op.score.bias
    weights = (scores.exp() / scores.exp().sum(1, keepdim=True)).repeat_interleave(op.head_dim, 2)
    values = tokens @ op.value.weight.T + op.value.bias
    mixed = torch.fft.ifft(torch.fft.fft(weights, dim=1).conj() * torch.fft.fft(values, dim=1), dim=1).real
    return (mixed @ op.out.weight.T + op.out.bias).transpose(1, 2).reshape(x.shape)


@degenerate("circular_attention", "one sharp weight at token n: the tokens rolled by n, between two linear maps")
def a_shift() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    op = CircularAttention(dim=6, heads=2, head_dim=4).double()
    x = torch.randn(1, 6, 3, 5).double()
    x[:, 0], x[:, 0, 1, 2] = 0.0, 1.0  # the mark of token 7
    with torch.no_grad():
        op.score.weight.zero_()
        op.score.weight[:, 0] = 1e3
        tokens = op.value(x.flatten(2).transpose(1, 2)).roll(-7, 1)
        return op(x), op.out(tokens).transpose(1, 2).reshape(x.shape)


@degenerate("circular_attention", "equal weights: the mean of the values at every token")
def the_mean() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    op = CircularAttention(dim=6, heads=2, head_dim=4).double()
    x = torch.randn(2, 6, 3, 5).double()
    with torch.no_grad():
        op.score.weight.zero_()
        mean = op.out(op.value(x.mean((2, 3))))
        return op(x), mean[:, :, None, None].expand_as(x)
