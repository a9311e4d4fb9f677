"""Images with labels, and how they are split: stratified by class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from nas.data.batches import augment, to_batch
from nas.data.split import Data, Split, TestSplitSealed
from nas.errors import JobError
from nas.metric import ACCURACY, Metric

if TYPE_CHECKING:
    from nas.job import DataSection

__all__ = ["ImageData", "Split", "TestSplitSealed", "assemble", "split_in_two", "stratified_order"]


@dataclass(frozen=True)
class ImageData(Data):
    """A classification data set in memory.

    `mean` and `std` are per channel, on a scale of 0 to 1, of the train split only. `flips` says whether a mirrored
    image keeps its label.
    """

    flips: bool
    mean: tuple[float, ...] = field(init=False)
    std: tuple[float, ...] = field(init=False)

    def __post_init__(self, test_split: Split) -> None:
        shape = self.train.images.shape[1:]
        for split in (self.train, self.search, test_split):
            images, labels = split
            if images.dtype != torch.uint8 or labels.dtype != torch.int64 or images.ndim != 4:
                raise ValueError(
                    f"images {images.dtype} {images.ndim}-d, labels {labels.dtype}; legal: uint8 NCHW, int64"
                )
            if images.shape[1:] != shape or shape[1] != shape[2] or len(images) != len(labels) or not len(images):
                raise ValueError("splits need square images of one shape, at least one, and one label an image")
        mean, std = _moments(self.train.images)
        object.__setattr__(self, "mean", mean)
        object.__setattr__(self, "std", std)
        super().__post_init__(test_split)

    @property
    def classes(self) -> int:
        """The number of classes."""
        return len(self.class_names)

    @property
    def in_channels(self) -> int:
        return int(self.train.images.shape[1])

    @property
    def image_size(self) -> int:
        """Height and width in pixels."""
        return int(self.train.images.shape[2])

    @property
    def metric(self) -> Metric:
        return ACCURACY

    @property
    def space_keys(self) -> dict[str, Any]:
        return {"in_channels": self.in_channels, "classes": self.classes}

    @property
    def facts(self) -> dict[str, Any]:
        normalisation = {"scale": "pixels / 255", "mean": list(self.mean), "std": list(self.std)}
        return {"input_normalisation": normalisation, "classes": list(self.class_names)}

    def batch(self, inputs: torch.Tensor, extent: int) -> torch.Tensor:
        """uint8 ``(B, C, H, W)`` -> normalised float32 ``(B, C, extent, extent)``."""
        return to_batch(inputs, self.mean, self.std, extent)

    def check_extents(self, extents: Sequence[int]) -> None:
        """Images are resized to any side."""

    def augment(self, inputs: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
        return augment(inputs, rng, self.flips)


def _moments(images: torch.Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    # from the histogram of grey levels: exact integer counts, so no order of summation and no copy as floats
    means, stds = [], []
    levels = np.arange(256) / 255.0
    for channel in range(images.shape[1]):
        share = np.bincount(images[:, channel].reshape(-1).numpy(), minlength=256) / images[:, channel].numel()
        mean = float(share @ levels)
        means.append(mean)
        stds.append(max(float(share @ (levels - mean) ** 2) ** 0.5, 1.0 / 255.0))  # a constant channel stays finite
    return tuple(means), tuple(stds)


def stratified_order(labels: np.ndarray, seed: int) -> np.ndarray:
    """A permutation of which every prefix holds each class in proportion, to within two images.

    Within a class the order is random; the k-th of n images of a class stands at (k + 1/2) / n of the permutation.
    """
    labels = np.asarray(labels)
    rng = np.random.default_rng([seed, 0x5B117])
    place = np.empty(len(labels))
    for label in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == label))
        place[members] = (np.arange(len(members)) + 0.5) / len(members)
    return np.lexsort((rng.random(len(labels)), place))  # classes of equal size tie: at random


def split_in_two(labels: np.ndarray, fraction: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Indices (rest, taken): `fraction` of the images, stratified by class, and the others.

    Both in the order of `stratified_order`: who looks at the first images only sees every class, however they are stored.
    """
    order = stratified_order(labels, seed)
    count = min(max(round(fraction * len(labels)), 1), len(labels) - 1)
    return order[count:], order[:count]


def assemble(
    section: DataSection,
    pool: tuple[np.ndarray, np.ndarray],
    test: tuple[np.ndarray, np.ndarray],
    class_names: Sequence[str],
    flips: bool,
) -> ImageData:
    """Split the training images into train and search, as the job says; seal the test split.

    pool, test: (images uint8 (N, C, H, W), labels (N,)). Raises JobError where a class would be missing from a split.
    """
    images, labels = pool
    if section.limit is not None and section.limit < len(labels):
        kept = np.sort(stratified_order(labels, section.seed)[: section.limit])
        images, labels = images[kept], labels[kept]
    train, search = split_in_two(labels, section.search_fraction, section.seed)
    for split, index in (("train", train), ("search", search)):
        missing = sorted(set(range(len(class_names))) - set(labels[index].tolist()))
        if missing:
            raise JobError(
                f"data: the {split} split of {section.name} ({len(index)} of {len(labels)} training images) holds no "
                f"image of class {class_names[missing[0]]!r}; use more images, a larger data.limit or another "
                f"data.search_fraction (came {section.search_fraction})"
            )
    return ImageData(
        section.name,
        tuple(class_names),
        _split(images[train], labels[train]),
        _split(images[search], labels[search]),
        _split(*test),
        flips,
    )


def _split(images: np.ndarray, labels: np.ndarray) -> Split:
    return Split(torch.from_numpy(np.array(images)), torch.from_numpy(labels.astype(np.int64)))
