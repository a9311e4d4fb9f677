"""Token-mixing MLPs against timm's MLP-Mixer and ResMLP."""

from __future__ import annotations

import torch
from torch import Tensor

from search_spaces.operators.token_mlp import MixerMLP, RaftMLP, ResMLP
from search_spaces.references.published.packages import package_module
from search_spaces.references.registry import published


@published("mixer_mlp", "MixerBlock.mlp_tokens (timm)", "timm")
def mixer() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    theirs = package_module("timm.models.mlp_mixer").MixerBlock(6, 25, mlp_ratio=(2.0, 4.0)).mlp_tokens.double()
    op, x = MixerMLP(dim=6, hidden=12, grid=5).double(), torch.randn(2, 6, 5, 5).double()
    with torch.no_grad():
        op.up.copy_(theirs.fc1.weight.reshape(12, 5, 5))
        op.up_bias.copy_(theirs.fc1.bias)
        op.down.copy_(theirs.fc2.weight.T.reshape(12, 5, 5))
        op.down_bias.copy_(theirs.fc2.bias.reshape(1, 5, 5))
        return op(x), theirs(x.flatten(2)).reshape(x.shape)


@published("raft_mlp", "MixerBlock.mlp_tokens (timm) on an image of one column", "timm")
def mixer_of_a_column() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    theirs = package_module("timm.models.mlp_mixer").MixerBlock(6, 8, mlp_ratio=(4.0, 1.0)).mlp_tokens.double()
    op, x = RaftMLP(dim=6, raft=1, expansion=3, grid=8).double(), torch.randn(2, 6, 8, 1).double()
    with torch.no_grad():
        op.horizontal.down.zero_()
        op.vertical.up[:, 0] = theirs.fc1.weight
        op.vertical.up_bias.copy_(theirs.fc1.bias)
        op.vertical.down[:, 0] = theirs.fc2.weight.T
        op.vertical.down_bias[0] = theirs.fc2.bias
        return op(x), theirs(x.flatten(2)).reshape(x.shape)


@published("res_mlp", "ResBlock.linear_tokens (timm)", "timm")
def res_block() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    theirs = package_module("timm.models.mlp_mixer").ResBlock(6, 25).linear_tokens.double()
    op, x = ResMLP(dim=6, grid=5).double(), torch.randn(2, 6, 5, 5).double()
    with torch.no_grad():
        op.tokens.copy_(theirs.weight.reshape(25, 5, 5))
        op.bias.copy_(theirs.bias.reshape(1, 5, 5))
        return op(x), theirs(x.flatten(2)).reshape(x.shape)
