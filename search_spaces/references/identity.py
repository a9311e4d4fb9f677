"""Evidence for the identity."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from search_spaces.operators.identity import Identity
from search_spaces.references.registry import degenerate, reference


@reference("identity")
def identity(op: Any, x: Tensor) -> Tensor:
    return (torch.eye(x.shape[1], dtype=x.dtype) @ x.flatten(2)).unflatten(2, x.shape[2:])


@degenerate("identity", "twice: once")
def twice() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    x = torch.randn(2, 8, 9, 6, dtype=torch.float64)
    op = Identity(dim=8)
    return op(op(x)), x
