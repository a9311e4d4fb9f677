"""Split attention and selective kernels against timm's."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from search_spaces.operators.split_attention import SelectiveKernel, SplitAttention
from search_spaces.references.published.packages import package_module
from search_spaces.references.registry import published


@published("split_attention", "SplitAttn (timm, ResNeSt)", "timm")
def resnest() -> tuple[Tensor, Tensor]:
    """Between our two 1x1; their squeeze has a norm of its own, taken out here. Radix 1, 2 and 4."""
    torch.manual_seed(0)
    got, wanted = [], []
    for radix in (1, 2, 4):
        ours = SplitAttention(dim=16, radix=radix, split=8, inner=16, kernel=3).double().eval()
        theirs = package_module("timm.layers.split_attn").SplitAttn(
            8 * radix, 16, radix=radix, rd_channels=4 // radix, norm_layer=nn.BatchNorm2d
        )
        theirs = theirs.double().eval()
        theirs.bn1 = nn.Identity()
        theirs.conv.load_state_dict(ours.conv.state_dict())
        theirs.bn0.load_state_dict(ours.norm.state_dict())
        theirs.fc1.load_state_dict(ours.squeeze.state_dict())
        theirs.fc2.load_state_dict(ours.excite.state_dict())
        x = torch.randn(2, 8 * radix, 9, 6, dtype=torch.float64)
        got.append(ours.attend(x))
        wanted.append(theirs(x))
    return torch.cat(got), torch.cat(wanted)


@published("selective_kernel", "SelectiveKernel (timm)", "timm")
def sknet() -> tuple[Tensor, Tensor]:
    """Every path sees all channels and has a 3x3 kernel with its dilation; their squeeze's norm is taken out."""
    torch.manual_seed(0)
    ours = SelectiveKernel(dim=16, paths=3, kernel=3).double().eval()
    theirs = package_module("timm.layers.selective_kernel").SelectiveKernel(
        16, kernel_size=[3, 5, 7], groups=16, rd_channels=4, split_input=False
    )
    theirs = theirs.double().eval()
    theirs.attn.bn = nn.Identity()
    for conv, norm, path in zip(ours.convs, ours.norms, theirs.paths, strict=True):
        path.conv.load_state_dict(conv.state_dict())
        path.bn.load_state_dict(norm.state_dict())
    theirs.attn.fc_reduce.weight.copy_(ours.squeeze.weight)
    theirs.attn.fc_select.weight.copy_(ours.select.weight)
    ours.squeeze.bias.zero_()  # type: ignore[union-attr]
    ours.select.bias.zero_()  # type: ignore[union-attr]
    ours.leave.weight.copy_(torch.eye(16, dtype=torch.float64)[:, :, None, None])
    ours.leave.bias.zero_()  # type: ignore[union-attr]
    x = torch.randn(2, 16, 9, 6, dtype=torch.float64)
    return ours(x), theirs(x)
