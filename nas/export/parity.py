"""The parity proof: two ways of computing a network, compared on the same inputs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class Parity:
    """How far two outputs are apart.

    Attributes:
        images: inputs compared (images or sequences).
        max_absolute: largest difference of any class score.
        max_relative: that over the largest class score.
        same_class: share of the predictions (one an image, or one a token) with the same class.
    """

    images: int
    max_absolute: float
    max_relative: float
    same_class: float

    def to_json(self) -> dict[str, float]:
        """The fields as a dictionary."""
        return asdict(self)


def relative_error(expected: np.ndarray, got: np.ndarray) -> float:
    """Largest difference over the largest expected value."""
    return float(np.abs(expected - got).max() / max(float(np.abs(expected).max()), 1e-12))


@torch.no_grad()
def compare(reference: Callable[[Tensor], Tensor], other: Callable[[Tensor], Tensor], inputs: Tensor) -> Parity:
    """`Parity` of two networks on ``inputs`` ``(N, ...)``; each maps a batch of one to scores ``(1, ..., classes)``."""
    expected = np.concatenate([np.asarray(reference(x)) for x in inputs.split(1)])
    got = np.concatenate([np.asarray(other(x)) for x in inputs.split(1)])
    same = float((expected.argmax(-1) == got.argmax(-1)).mean())
    return Parity(len(inputs), float(np.abs(expected - got).max()), relative_error(expected, got), same)
