"""Evidence for the pooled head with a hidden layer."""

from __future__ import annotations

import torch
from torch import Tensor

from search_spaces.operators.frame import PooledHead
from search_spaces.operators.hidden_head import HiddenPooledHead
from search_spaces.references.frame import normalised
from search_spaces.references.mlp import gelu
from search_spaces.references.registry import degenerate, reference


@reference("hidden_pooled_head")
def hidden_pooled_head(op: HiddenPooledHead, x: Tensor) -> Tensor:
    mean = normalised(x.flatten(2).sum(2) / (x.shape[2] * x.shape[3]), op.norm)
    hidden = gelu(mean @ op.hidden.weight.T + op.hidden.bias)
    return hidden @ op.classify.weight.T + op.classify.bias


@degenerate("hidden_pooled_head", "identity hidden layer, shifted to where GELU is the identity: pooled_head")
def linear_hidden() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    op, plain = HiddenPooledHead(dim=8, features=8, classes=5).double(), PooledHead(dim=8, classes=5).double()
    with torch.no_grad():
        op.hidden.weight.copy_(torch.eye(8))
        op.hidden.bias.fill_(50.0)
        plain.norm.load_state_dict(op.norm.state_dict())
        plain.classify.weight.copy_(op.classify.weight)
        plain.classify.bias.copy_(op.classify.bias + 50 * op.classify.weight.sum(1))
        x = torch.randn(2, 8, 4, 3, dtype=torch.float64)
        return op(x), plain(x)
