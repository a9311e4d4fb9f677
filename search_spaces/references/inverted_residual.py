"""The inverted residual, term by term."""

from __future__ import annotations

from torch import Tensor

from search_spaces.operators.inverted_residual import InvertedResidual
from search_spaces.references.registry import reference
from search_spaces.references.slow import convolve_depthwise, mix, normalise


@reference("inverted_residual")
def slow_inverted_residual(op: InvertedResidual, x: Tensor) -> Tensor:
    """Products token by token, neighbourhoods by unfolding, norms by their definition."""
    y = x
    if op.expand is not None and op.expand_norm is not None:
        y = normalise(mix(y, op.expand), op.expand_norm).clamp(0, 6)
    moved = convolve_depthwise(y, op.depthwise.weight)[:, :, :: op.depthwise.stride[0], :: op.depthwise.stride[0]]
    y = normalise(moved, op.depthwise_norm).clamp(0, 6)
    y = normalise(mix(y, op.project), op.project_norm)
    return x + y if x.shape == y.shape else y
