"""Stems with every patch taken by itself, and the settings at which they are a plain strided convolution."""

from __future__ import annotations

import math
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor

from search_spaces.operators.patches import PatchConv
from search_spaces.operators.stems import ConvPoolStem, CrossScaleStem, OverlapStem, PatchStem, SoftSplitStem
from search_spaces.references.frame import normalised, windows
from search_spaces.references.registry import degenerate, reference


@reference("patch_stem")
def patch_stem(op: PatchStem, x: Tensor) -> Tensor:
    return normalised(windows(x, op.patches.weight, op.patches.bias, op.patches.weight.shape[2], 0), op.norm)


@reference("overlap_stem")
def overlap_stem(op: OverlapStem, x: Tensor) -> Tensor:
    stride, kernel = op.patches.stride[0], op.patches.weight.shape[2]
    return normalised(windows(x, op.patches.weight, op.patches.bias, stride, math.ceil((kernel - stride) / 2)), op.norm)


@reference("conv_pool_stem")
def conv_pool_stem(op: ConvPoolStem, x: Tensor) -> Tensor:
    for conv in (op.first, op.second):
        if conv is None:
            continue
        x = windows(x, conv.weight, None, 1, conv.weight.shape[2] // 2).clamp(min=0)
        wide = F.pad(x, (1, 2, 1, 2))  # after the ReLU no zero of the border can win
        rows, columns = -(-x.shape[2] // 2), -(-x.shape[3] // 2)
        shifted = [wide[:, :, i:, j:][:, :, ::2, ::2][:, :, :rows, :columns] for i in range(3) for j in range(3)]
        x = torch.stack(shifted).amax(0)
    return x


@reference("soft_split_stem")
def soft_split_stem(op: SoftSplitStem, x: Tensor) -> Tensor:
    x = windows(x, op.first.weight, op.first.bias, 2, math.ceil((op.first.weight.shape[2] - 2) / 2))
    normed, dim = normalised(x, op.norm).flatten(2), x.shape[1]
    q, k, v = (normed.transpose(1, 2) @ op.qkv.weight.T + op.qkv.bias).split(dim, 2)
    y = x.clone()
    for token in range(q.shape[1]):
        scores = (k * q[:, token : token + 1]).sum(2, keepdim=True) / math.sqrt(dim)
        mixed = (scores.exp() * v).sum(1) / scores.exp().sum(1)
        y[:, :, token // x.shape[3], token % x.shape[3]] += F.linear(mixed, op.out.weight, op.out.bias)
    return windows(y, op.second.weight, op.second.bias, 2, 1)


@reference("cross_scale_stem")
def cross_scale_stem(op: CrossScaleStem, x: Tensor) -> Tensor:
    """Channel by channel: which convolution makes it, and which of its rows."""
    rows, scales = [], cast(list[PatchConv], list(op.patches.scales))
    stride = scales[0].stride[0]
    for group in range(op.patches.groups):
        for conv, share in zip(scales, op.patches.shares, strict=True):
            mine = slice(group * share, (group + 1) * share)
            before = (conv.weight.shape[2] - stride) // 2
            rows.append(windows(x, conv.weight[mine], cast(Tensor, conv.bias)[mine], stride, before))
    return normalised(torch.cat(rows, 1), op.norm)


@degenerate("patch_stem", "overlap_stem with kernel = stride = patch")
def patches_that_touch() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    op, other = PatchStem(channels=3, dim=8, patch=4), OverlapStem(channels=3, dim=8, kernel=4, stride=4)
    other.load_state_dict(op.state_dict())
    x = torch.randn(2, 3, 10, 12).double()
    with torch.no_grad():
        return op.double()(x), other.double()(x)


@degenerate("overlap_stem", "all taps but the centre 0: the operator with a smaller kernel")
def the_centre_of_a_kernel() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    wide, narrow = (OverlapStem(channels=3, dim=8, kernel=kernel, stride=4) for kernel in (7, 3))
    x = torch.randn(2, 3, 10, 13).double()
    with torch.no_grad():
        narrow.load_state_dict({**wide.state_dict(), "patches.weight": wide.patches.weight[:, :, 2:5, 2:5]})
        wide.patches.weight.copy_(F.pad(narrow.patches.weight, (2, 2, 2, 2)))
        return wide.double()(x), narrow.double()(x)


@degenerate("conv_pool_stem", "identity kernels on a positive constant image: the constant")
def constant_image() -> tuple[Tensor, Tensor]:
    op = ConvPoolStem(channels=4, dim=4, layers=2, kernel=3).double()
    with torch.no_grad():
        for conv in (op.first, op.second):
            assert conv is not None
            conv.weight.copy_(torch.eye(4).reshape(4, 4, 1, 1) * F.pad(torch.ones(1, 1), (1, 1, 1, 1)))
        x = torch.rand(2, 4, 1, 1).double()
        return op(x.expand(2, 4, 9, 6)), x.expand(2, 4, 3, 2)


@degenerate("soft_split_stem", "kernel = stride: patchify, attention over the patches, and the second split")
def split_of_patches() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    op, x = SoftSplitStem(channels=3, dim=8, token_dim=6, kernel=2).double(), torch.randn(2, 3, 8, 12).double()
    with torch.no_grad():
        patches = x.unflatten(2, (4, 2)).unflatten(4, (6, 2)).permute(0, 2, 4, 1, 3, 5).flatten(3).flatten(1, 2)
        tokens = patches @ op.first.weight.flatten(1).T + op.first.bias
        q, k, v = op.qkv(op.norm(tokens)).chunk(3, 2)
        tokens = tokens + op.out(F.scaled_dot_product_attention(q, k, v))
        return op(x), op.second(tokens.transpose(1, 2).reshape(2, 6, 4, 6))


@degenerate("cross_scale_stem", "one kernel size: patch_stem, its channels dealt out in groups of 8")
def one_scale() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    op, plain = CrossScaleStem(channels=3, dim=16, stride=4, scales=1), PatchStem(channels=3, dim=16, patch=4)
    x = torch.randn(2, 3, 10, 12).double()
    with torch.no_grad():
        for part in ("weight", "bias"):
            shares = [getattr(conv, part).unflatten(0, (2, -1)) for conv in op.patches.scales]
            getattr(plain.patches, part).copy_(torch.cat(shares, 1).flatten(0, 1))
        return op.double()(x), plain.double()(x)
