"""Fourier mixing against transformers' FNet."""

from __future__ import annotations

import torch
from torch import Tensor

from search_spaces.operators.spectral import FourierMixing
from search_spaces.references.published.packages import package_module
from search_spaces.references.registry import published


@published("fourier_mixing", "FNetBasicFourierTransform (transformers)", "transformers")
def fnet_transform() -> tuple[Tensor, Tensor]:
    """A sequence is an image of one row; FNet's transform is not normalised."""
    fnet = package_module("transformers.models.fnet.modeling_fnet")
    config = fnet.FNetConfig(hidden_size=12, use_tpu_fourier_optimizations=False)
    torch.manual_seed(0)
    x = torch.randn(2, 14, 12).double()
    theirs = fnet.FNetBasicFourierTransform(config)(x)[0]
    ours = FourierMixing(dim=12, mix_channels=1)(x.transpose(1, 2).unsqueeze(2))
    return ours.squeeze(2).transpose(1, 2) * (14 * 12) ** 0.5, theirs
