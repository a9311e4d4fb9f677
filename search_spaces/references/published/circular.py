"""Circular attention against scipy's circulant matrix."""

from __future__ import annotations

import torch
from torch import Tensor

from search_spaces.operators.circular import CircularAttention
from search_spaces.references.registry import published


@published("circular_attention", "circulant (scipy.linalg)", "scipy")
def circulant_product() -> tuple[Tensor, Tensor]:
    """scipy's matrix holds its vector in the first column; the attention matrix has it in the first row."""
    from scipy.linalg import circulant

    torch.manual_seed(0)
    op = CircularAttention(dim=6, heads=2, head_dim=4).double()
    x = torch.randn(1, 6, 3, 5).double()
    with torch.no_grad():
        tokens = x.flatten(2).transpose(1, 2)[0]
        weights, values = op.score(tokens).softmax(0), op.value(tokens)
        heads = [
            torch.from_numpy(circulant(weights[:, h].numpy()).T.copy()) @ values[:, 4 * h : 4 * h + 4] for h in range(2)
        ]
        return op(x), op.out(torch.cat(heads, 1)).T.reshape(x.shape)
