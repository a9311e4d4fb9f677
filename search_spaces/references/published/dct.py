"""The dynamic spectrum mixer's transform against scipy's."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from search_spaces.operators.dct import DynamicSpectrumMixer, band_responses
from search_spaces.references.registry import published


@published("dct_mixer", "dctn, idctn (scipy.fft)", "scipy")
def scipy_transform() -> tuple[Tensor, Tensor]:
    """The weights are ours; the transforms there and back are scipy's."""
    from scipy.fft import dctn, idctn

    torch.manual_seed(0)
    op = DynamicSpectrumMixer(dim=6, bands=4, hidden=5).double()
    x = torch.randn(2, 6, 7, 10).double()
    with torch.no_grad():
        weights = op.weigh(F.gelu(op.squeeze(x.mean((2, 3))))).reshape(2, 4, 6)
        response = torch.einsum("bkc,khw->bchw", weights, torch.from_numpy(band_responses(4, 7, 10)))
        coefficients = dctn(x.numpy(), axes=(2, 3), norm="ortho") * response.numpy()
        return op(x), torch.from_numpy(idctn(coefficients, axes=(2, 3), norm="ortho"))
