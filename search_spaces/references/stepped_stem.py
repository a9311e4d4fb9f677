"""Evidence for the stem of two strided convolutions."""

from __future__ import annotations

import torch
from torch import Tensor

from search_spaces.operators.stems import OverlapStem
from search_spaces.operators.stepped_stem import SteppedStem
from search_spaces.references.frame import normalised, windows
from search_spaces.references.mlp import gelu
from search_spaces.references.registry import degenerate, reference


@reference("stepped_stem")
def stepped_stem(op: SteppedStem, x: Tensor) -> Tensor:
    x = normalised(windows(x, op.first.weight, op.first.bias, 2, 1), op.first_norm)
    return normalised(windows(gelu(x), op.second.weight, op.second.bias, 2, 1), op.second_norm)


@degenerate("stepped_stem", "two overlap stems of kernel 3 and stride 2, one after the other")
def two_stems() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    op = SteppedStem(channels=3, dim=8, hidden=4).double()
    first = OverlapStem(channels=3, dim=4, kernel=3, stride=2).double()
    second = OverlapStem(channels=4, dim=8, kernel=3, stride=2).double()
    for stem, name in ((first, "first"), (second, "second")):
        stem.patches.load_state_dict(getattr(op, name).state_dict())
        stem.norm.load_state_dict(getattr(op, f"{name}_norm").state_dict())
    x = torch.randn(2, 3, 9, 6, dtype=torch.float64)
    with torch.no_grad():
        return op(x), second(gelu(first(x)))
