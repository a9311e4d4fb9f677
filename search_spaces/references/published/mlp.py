"""MLP and SwiGLU against timm's."""

from __future__ import annotations

import torch
from torch import Tensor

from search_spaces.operators.mlp import MLP, GatedMLP
from search_spaces.references.published.packages import package_module
from search_spaces.references.registry import published


@published("mlp", "Mlp, channels last (timm)", "timm")
def timm_mlp() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    op, theirs = MLP(dim=6, ratio=4).double(), package_module("timm.layers").Mlp(6, 24).double()
    theirs.load_state_dict({k.replace("up", "fc1").replace("down", "fc2"): v for k, v in op.state_dict().items()})
    x = torch.randn(2, 6, 4, 5).double()
    with torch.no_grad():
        return op(x), theirs(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


@published("mlp", "ConvMlp with GELU (timm)", "timm")
def timm_conv_mlp() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    theirs = package_module("timm.layers").ConvMlp(6, 24, act_layer=torch.nn.GELU).double()
    op, x = MLP(dim=6, ratio=4).double(), torch.randn(2, 6, 4, 5).double()
    with torch.no_grad():
        op.up.weight.copy_(theirs.fc1.weight[:, :, 0, 0])
        op.up.bias.copy_(theirs.fc1.bias)
        op.down.weight.copy_(theirs.fc2.weight[:, :, 0, 0])
        op.down.bias.copy_(theirs.fc2.bias)
        return op(x), theirs(x)


@published("gated_mlp", "SwiGLU (timm)", "timm")
def timm_swiglu() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    op, theirs = GatedMLP(dim=6, ratio=2).double(), package_module("timm.layers").SwiGLU(6, 12).double()
    x = torch.randn(2, 6, 4, 5).double()
    with torch.no_grad():
        for part in ("weight", "bias"):
            gate, up = getattr(op.gate_up, part).chunk(2)
            getattr(theirs.fc1_g, part).copy_(gate)
            getattr(theirs.fc1_x, part).copy_(up)
            getattr(theirs.fc2, part).copy_(getattr(op.down, part))
        return op(x), theirs(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
