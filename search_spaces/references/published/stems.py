"""Stems against timm's and transformers' embeddings."""

from __future__ import annotations

import torch
from torch import Tensor

from search_spaces.operators.stems import OverlapStem, PatchStem
from search_spaces.references.mlp import fill
from search_spaces.references.published.packages import package_module
from search_spaces.references.registry import published


@published("patch_stem", "PatchEmbed with a norm, padded as need be (timm)", "timm")
def timm_patches() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    layers = package_module("timm.layers")
    theirs = layers.PatchEmbed(None, 4, 3, 8, norm_layer=torch.nn.LayerNorm, dynamic_img_pad=True).double()
    op, x = PatchStem(channels=3, dim=8, patch=4).double(), torch.randn(2, 3, 10, 12).double()
    fill(theirs.proj, op.patches.weight, op.patches.bias)
    with torch.no_grad():
        return op(x), theirs(x).transpose(1, 2).reshape(2, 8, 3, 3)


@published("patch_stem", "ConvNextEmbeddings (transformers)", "transformers")
def convnext_embeddings() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    package = package_module("transformers.models.convnext.modeling_convnext")
    theirs = package.ConvNextEmbeddings(package.ConvNextConfig(hidden_sizes=[8, 8, 8, 8], patch_size=4)).double()
    op, x = PatchStem(channels=3, dim=8, patch=4).double(), torch.randn(2, 3, 8, 12).double()
    fill(theirs.patch_embeddings, op.patches.weight, op.patches.bias)
    theirs.layernorm.eps = op.norm.eps
    with torch.no_grad():
        return op(x), theirs(x)


@published("overlap_stem", "CvtConvEmbeddings, patch 7, stride 4, padding 2 (transformers)", "transformers")
def cvt_embeddings() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    package = package_module("transformers.models.cvt.modeling_cvt")
    theirs = package.CvtConvEmbeddings(patch_size=7, num_channels=3, embed_dim=8, stride=4, padding=2).double()
    op, x = OverlapStem(channels=3, dim=8, kernel=7, stride=4).double(), torch.randn(2, 3, 12, 16).double()
    fill(theirs.projection, op.patches.weight, op.patches.bias)
    with torch.no_grad():
        return op(x), theirs(x)


@published("overlap_stem", "SegformerOverlapPatchEmbeddings, patch 3, stride 2 (transformers)", "transformers")
def segformer_embeddings() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    package = package_module("transformers.models.segformer.modeling_segformer")
    theirs = package.SegformerOverlapPatchEmbeddings(3, 2, 3, 8).double()
    op, x = OverlapStem(channels=3, dim=8, kernel=3, stride=2).double(), torch.randn(2, 3, 9, 6).double()
    fill(theirs.proj, op.patches.weight, op.patches.bias)
    with torch.no_grad():
        tokens, height, width = theirs(x)
        return op(x), tokens.transpose(1, 2).reshape(2, 8, height, width)
