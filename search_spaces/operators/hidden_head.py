"""A pooled head whose classifier has a hidden layer."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from search_spaces.operators.frame import ClassHead
from search_spaces.operators.legal import positive
from search_spaces.operators.registry import register


@register
class HiddenPooledHead(ClassHead):
    """Mean over the image, norm, linear, GELU, linear classifier: ``(B, dim, H, W)`` -> ``(B, classes)``, as MambaOut (arXiv
    2405.07992) and, with other activations, MetaFormer baselines (Yu et al., arXiv 2210.13452) end.

    Args:
        dim: channels in.
        features: channels before the classifier.
        classes: number of classes.
    """

    name, family = "hidden_pooled_head", "mlp"
    elastic = {"dim": (16, 32), "features": (32, 64), "classes": (10,)}
    layout = {
        "norm.weight": "dim",
        "norm.bias": "dim",
        "hidden.weight": "features dim",
        "hidden.bias": "features",
        "classify.weight": "classes features",
        "classify.bias": "classes",
    }

    def __init__(self, dim: int, features: int, classes: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.hidden = nn.Linear(dim, features)
        self.classify = nn.Linear(features, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.classify(F.gelu(self.hidden(self.norm(x.mean((2, 3))))))

    @classmethod
    def check(cls, shape: tuple[int, ...], **sizes: int) -> None:
        positive(cls, features=sizes["features"])

    @classmethod
    def work(cls, height: int, width: int, **sizes: int) -> tuple[int, int]:
        return sizes["features"] * (sizes["dim"] + sizes["classes"]), sizes["features"] + sizes["classes"]
