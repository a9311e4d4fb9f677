"""Outlook attention against timm."""

from __future__ import annotations

from torch import Tensor

from search_spaces.operators.outlook import OutlookAttention
from search_spaces.references.dense import image, seeded
from search_spaces.references.published.attention import SIZES, assign, first, last
from search_spaces.references.published.packages import package_module
from search_spaces.references.registry import published


def _timm(kernel: int, stride: int, height: int, width: int) -> tuple[Tensor, Tensor]:
    op, x = seeded(OutlookAttention, kernel=kernel, stride=stride, **SIZES), image(2, 12, height, width)
    outlook = package_module("timm.models.volo").OutlookAttention
    other = outlook(12, 3, kernel_size=kernel, padding=kernel // 2, stride=stride)
    names = {"v.weight": op.values.weight, "attn.weight": op.weights.weight, "attn.bias": op.weights.bias}
    names |= {"proj.weight": op.out.weight, "proj.bias": op.out.bias}
    return op(x), first(assign(other, names)(last(x)))


@published("outlook_attention", "OutlookAttention (timm), stride 2", "timm")
def strided() -> tuple[Tensor, Tensor]:
    return _timm(3, 2, 9, 6)


@published("outlook_attention", "OutlookAttention (timm), kernel 5", "timm")
def wide() -> tuple[Tensor, Tensor]:
    return _timm(5, 1, 7, 5)
