"""The 1,797 handwritten digits of 8x8 pixels inside scikit-learn (UCI, CC BY 4.0): no download, trains in seconds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nas.data.base import ImageData, assemble, split_in_two

if TYPE_CHECKING:
    from nas.job import DataSection

TEST_FRACTION, TEST_SEED = 0.2, 0


def load(section: DataSection) -> ImageData:
    """Ten classes, one channel; grey levels 0 to 16 become 0 to 255. A fifth is the test split, whatever the seed."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = np.rint(digits.images * (255 / 16)).astype(np.uint8)[:, None]
    labels = digits.target.astype(np.int64)
    rest, test = split_in_two(labels, TEST_FRACTION, TEST_SEED)
    names = [str(name) for name in digits.target_names]
    return assemble(section, (images[rest], labels[rest]), (images[test], labels[test]), names, flips=False)
