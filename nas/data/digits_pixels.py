"""The handwritten digits of scikit-learn read pixel by pixel: 64 grey levels in a row, ten classes (as sequential MNIST,
Le et al., arXiv 1504.00941)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nas.data import digits
from nas.data.sequences import SequenceData, as_sequences

if TYPE_CHECKING:
    from nas.job import DataSection


def load(section: DataSection) -> SequenceData:
    """The same images in the same splits as ``digits``."""
    return as_sequences(digits.load(section), section.name)
