"""Blocks, stem and head of the reference designs against timm's."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from search_spaces.operators.bottleneck import BottleneckReduction
from search_spaces.operators.hidden_head import HiddenPooledHead
from search_spaces.operators.squeezed import SqueezedMBConv, SqueezedResidual
from search_spaces.operators.stepped_stem import SteppedStem
from search_spaces.references.mlp import fill
from search_spaces.references.published.packages import package_module
from search_spaces.references.registry import published


@published("bottleneck_reduction", "Bottleneck of ResNet (timm)", "timm")
def resnet_bottleneck() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    op = BottleneckReduction(dim_in=16, dim_out=32, inner=8, stride=2).double().eval()
    skip = nn.Sequential(nn.Conv2d(16, 32, 1, stride=2, bias=False), nn.BatchNorm2d(32))
    theirs = package_module("timm.models.resnet").Bottleneck(16, 8, stride=2, downsample=skip).double().eval()
    x = torch.randn(2, 16, 9, 6, dtype=torch.float64)
    with torch.no_grad():
        for name in ("down", "conv", "up", "skip"):
            norm = getattr(op, f"{name}_norm")
            norm.running_mean.normal_()
            norm.weight.uniform_(0.5, 1.5)
        pairs = {"down": "1", "conv": "2", "up": "3"}
        for name, number in pairs.items():
            getattr(theirs, f"conv{number}").load_state_dict(getattr(op, name).state_dict())
            getattr(theirs, f"bn{number}").load_state_dict(getattr(op, f"{name}_norm").state_dict())
        skip[0].load_state_dict(op.skip.state_dict())
        skip[1].load_state_dict(op.skip_norm.state_dict())
        return op(x), theirs(x)


def _inverted_residual(
    op: SqueezedMBConv | SqueezedResidual, width: int, out: int, stride: int, squeeze: int
) -> nn.Module:
    blocks = package_module("timm.models._efficientnet_blocks")
    theirs: nn.Module = blocks.InvertedResidual(
        width,
        out,
        dw_kernel_size=5,
        stride=stride,
        pad_type="",
        exp_ratio=4.0,
        noskip=True,
        act_layer=nn.SiLU,
        se_layer=partial(blocks.SqueezeExcite, rd_ratio=squeeze / (4 * width), rd_round_fn=round),
    )
    theirs = theirs.double().eval()
    names = {"expand": "conv_pw", "depthwise": "conv_dw", "project": "conv_pwl"}
    for ours, name in names.items():
        getattr(theirs, name).weight.copy_(getattr(op, ours).weight)
    theirs.get_submodule("se.conv_reduce").load_state_dict(op.squeeze.state_dict())  # type: ignore[union-attr]
    theirs.get_submodule("se.conv_expand").load_state_dict(op.excite.state_dict())  # type: ignore[union-attr]
    return theirs


@published("squeezed_residual", "InvertedResidual, squeeze-excite of a quarter of the input (timm)", "timm")
def efficientnet_block() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    op = SqueezedResidual(16, 24, expansion=4, kernel=5, stride=2, squeeze=4).double().eval()
    x = torch.randn(2, 16, 9, 6, dtype=torch.float64)
    with torch.no_grad():
        theirs = _inverted_residual(op, 16, 24, 2, 4)
        for number, name in enumerate(("expand_norm", "depthwise_norm", "project_norm"), 1):
            norm = getattr(op, name)
            norm.running_mean.normal_()
            norm.weight.uniform_(0.5, 1.5)
            theirs.get_submodule(f"bn{number}").load_state_dict(norm.state_dict())
        return op(x), theirs(x)


@published("squeezed_mbconv", "InvertedResidual, squeeze-excite of a quarter of the input (timm)", "timm")
def efficientnet_block_without_outer_norms() -> tuple[Tensor, Tensor]:
    """Theirs has a norm after each convolution; those around the two 1x1 are made to do nothing but add the biases."""
    torch.manual_seed(0)
    op = SqueezedMBConv(dim=16, expansion=4, kernel=5, squeeze=4).double().eval()
    x = torch.randn(2, 16, 9, 6, dtype=torch.float64)
    with torch.no_grad():
        theirs = _inverted_residual(op, 16, 16, 1, 4)
        for name, conv in (("bn1", op.expand), ("bn3", op.project)):
            norm = getattr(theirs, name)
            norm.running_var.fill_(1 - norm.eps)
            norm.bias.copy_(conv.bias)
        theirs.get_submodule("bn2").load_state_dict(op.norm.state_dict())
        return op(x), theirs(x)


@published("stepped_stem", "Stem of MambaOut (timm)", "timm")
def mambaout_stem() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    op, x = SteppedStem(channels=3, dim=16, hidden=8).double(), torch.randn(2, 3, 9, 6, dtype=torch.float64)
    theirs = package_module("timm.models.mambaout").Stem(3, 16).double()
    with torch.no_grad():
        for name, conv, norm in (("first", theirs.conv1, theirs.norm1), ("second", theirs.conv2, theirs.norm2)):
            conv.load_state_dict(getattr(op, name).state_dict())
            norm.load_state_dict(getattr(op, f"{name}_norm").state_dict())
            norm.eps = getattr(op, f"{name}_norm").eps
        y = theirs(x)
        return op(x), y.permute(0, 3, 1, 2) if y.shape[-1] == 16 else y


@published("hidden_pooled_head", "NormMlpClassifierHead with a hidden layer and no norm before pooling (timm)", "timm")
def timm_head() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    op, x = HiddenPooledHead(dim=8, features=12, classes=5).double(), torch.randn(2, 8, 4, 3, dtype=torch.float64)
    theirs = package_module("timm.layers").NormMlpClassifierHead(8, 5, hidden_size=12, act_layer=nn.GELU).double()
    with torch.no_grad():
        fill(theirs.pre_logits.fc, op.hidden.weight, op.hidden.bias)
        fill(theirs.fc, op.classify.weight, op.classify.bias)
        theirs.norm.eps = op.norm.eps
        return op(x), theirs(x)
