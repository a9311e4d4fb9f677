"""Average pooling against timm's and transformers' PoolFormer."""

from __future__ import annotations

import torch
from torch import Tensor

from search_spaces.operators.pool import AveragePool
from search_spaces.references.published.packages import package_module
from search_spaces.references.registry import published


@published("average_pool", "Pooling (timm)", "timm")
def timm_pooling() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    x = torch.randn(2, 16, 9, 6, dtype=torch.float64)
    return AveragePool(dim=16, kernel=5)(x), package_module("timm.models.metaformer").Pooling(5)(x)


@published("average_pool", "PoolFormerPooling (transformers)", "transformers")
def transformers_pooling() -> tuple[Tensor, Tensor]:
    from transformers.models.poolformer.modeling_poolformer import PoolFormerPooling

    torch.manual_seed(0)
    x = torch.randn(2, 16, 9, 6, dtype=torch.float64)
    return AveragePool(dim=16, kernel=3)(x), PoolFormerPooling(3)(x)
