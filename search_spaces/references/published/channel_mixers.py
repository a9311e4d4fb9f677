"""GLU against timm's; the depthwise MLP against PVTv2's (timm) and SegFormer's (transformers)."""

from __future__ import annotations

from types import SimpleNamespace

import torch
from torch import Tensor

from search_spaces.operators.channel_mixers import DeepMLP, DepthwiseMLP
from search_spaces.operators.mlp import GLU
from search_spaces.references.mlp import fill
from search_spaces.references.published.packages import package_module
from search_spaces.references.registry import published


@published("glu", "GluMlp with a sigmoid (timm)", "timm")
def timm_glu() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    op, theirs = GLU(dim=6, ratio=2).double(), package_module("timm.layers").GluMlp(6, 24, gate_last=False).double()
    theirs.load_state_dict({k.replace("gate_up", "fc1").replace("down", "fc2"): v for k, v in op.state_dict().items()})
    x = torch.randn(2, 6, 4, 5).double()
    with torch.no_grad():
        return op(x), theirs(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


@published("deep_mlp", "Mlp (timm) at depth 2", "timm")
def timm_mlp() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    op, theirs = DeepMLP(dim=6, ratio=3, depth=2).double(), package_module("timm.layers").Mlp(6, 18).double()
    theirs.load_state_dict({k.replace("first", "fc1").replace("last", "fc2"): v for k, v in op.state_dict().items()})
    x = torch.randn(2, 6, 4, 5).double()
    with torch.no_grad():
        return op(x), theirs(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


@published("depthwise_mlp", "MlpWithDepthwiseConv of PVTv2 (timm)", "timm")
def pvt() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    op = DepthwiseMLP(dim=6, ratio=3, kernel=3, shortcut=0).double()
    theirs = package_module("timm.models.pvt_v2").MlpWithDepthwiseConv(6, 18).double()
    for mine, other in ((op.up, theirs.fc1), (op.depthwise, theirs.dwconv), (op.down, theirs.fc2)):
        fill(other, mine.weight, mine.bias)
    x = torch.randn(2, 6, 4, 5).double()
    with torch.no_grad():
        return op(x), theirs(x.flatten(2).transpose(1, 2), [4, 5]).transpose(1, 2).reshape(x.shape)


@published("depthwise_mlp", "SegformerMixMLP (transformers)", "transformers")
def segformer() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    op = DepthwiseMLP(dim=6, ratio=3, kernel=3, shortcut=0).double()
    config = SimpleNamespace(hidden_act="gelu", hidden_dropout_prob=0.0)
    theirs = package_module("transformers.models.segformer.modeling_segformer").SegformerMixMLP(config, 6, 18).double()
    for mine, other in ((op.up, theirs.fc1), (op.depthwise, theirs.dwconv.dwconv), (op.down, theirs.fc2)):
        fill(other, mine.weight, mine.bias)
    x = torch.randn(2, 6, 4, 5).double()
    with torch.no_grad():
        return op(x), theirs(x.flatten(2).transpose(1, 2), 4, 5).transpose(1, 2).reshape(x.shape)
