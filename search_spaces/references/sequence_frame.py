"""The frame of sequence networks: row by row."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from search_spaces.operators.sequence_frame import SequenceIdentity
from search_spaces.references.registry import degenerate, reference


@reference("byte_embedding")
def embedding(op: Any, x: Tensor) -> Tensor:
    return (x.unsqueeze(-1) == torch.arange(len(op.table.weight))).to(op.table.weight.dtype) @ op.table.weight


@reference("sequence_position")
def position(op: Any, x: Tensor) -> Tensor:
    return torch.stack([x[:, t] + op.table[t] for t in range(x.shape[1])], 1)


@reference("sequence_identity")
def identity(op: Any, x: Tensor) -> Tensor:
    return x.clone()


@degenerate("sequence_identity", "its input")
def own_input() -> tuple[Tensor, Tensor]:
    x = torch.randn(2, 5, 4, dtype=torch.float64)
    return SequenceIdentity(dim=4)(x), x


@reference("next_token_head", "sequence_class_head")
def head(op: Any, x: Tensor) -> Tensor:
    length = (x * x).sum(-1) / x.shape[-1] + op.norm.eps
    y = x / length.sqrt()[..., None] * op.norm.weight
    if op.linear.bias is None:
        return torch.einsum("bld,cd->blc", y, op.linear.weight)
    return torch.einsum("bld,cd->bc", y / x.shape[1], op.linear.weight) + op.linear.bias
