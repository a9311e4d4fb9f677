"""Images with an enforced three-way split.

Weights see `train`, search sees `search`, and the test split can be opened once, by the report. The test split does
not depend on `data.seed`, so that no sequence of jobs ever trains on an image another job is tested on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import InitVar, dataclass, field
from typing import TYPE_CHECKING, NamedTuple, NoReturn

import numpy as np
import torch

from nas.errors import JobError

if TYPE_CHECKING:
    from nas.job import DataSection

__all__ = ["ImageData", "Split", "TestSplitSealed", "assemble", "split_in_two", "stratified_order"]


class TestSplitSealed(RuntimeError):
    """The test split was touched outside the one `open_test` call that a report makes."""

    __test__ = False  # its name makes pytest take it for a test


class Split(NamedTuple):
    """images: uint8 (N, C, H, W); labels: int64 (N,)."""

    images: torch.Tensor
    labels: torch.Tensor


class _Sealed:
    """Holds the test split until `ImageData.open_test` takes it; there is no other way in."""

    __slots__ = ("__reason", "__split")

    def __init__(self, split: Split) -> None:
        self.__split: Split | None = split
        self.__reason = ""

    def take(self, reason: str) -> Split:
        if not reason.strip():
            raise TestSplitSealed("open_test needs a reason: say which report opens the test split")
        if self.__split is None:
            raise TestSplitSealed(f"the test split was opened before, for: {self.__reason}; it opens once")
        split, self.__split, self.__reason = self.__split, None, reason
        return split

    def __reduce__(self) -> NoReturn:
        raise TestSplitSealed("a sealed test split is neither copied nor pickled: a copy could be opened again")


@dataclass(frozen=True)
class ImageData:
    """A classification data set in memory.

    `mean` and `std` are per channel, on a scale of 0 to 1, of the train split only. `flips` says whether a mirrored
    image keeps its label. `test` raises `TestSplitSealed`; `open_test` gives the split, once.
    """

    name: str
    class_names: tuple[str, ...]
    train: Split
    search: Split
    test_split: InitVar[Split]
    flips: bool
    mean: tuple[float, ...] = field(init=False)
    std: tuple[float, ...] = field(init=False)
    test_size: int = field(init=False)
    _sealed: _Sealed = field(init=False, repr=False, compare=False)

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
        object.__setattr__(self, "test_size", len(test_split.labels))
        object.__setattr__(self, "_sealed", _Sealed(test_split))

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
    def test(self) -> NoReturn:
        raise TestSplitSealed("the test split is sealed: only the report opens it, once, with open_test(reason)")

    def open_test(self, reason: str) -> Split:
        """The test split, the first time; TestSplitSealed (naming the first reason) every other time."""
        return self._sealed.take(reason)


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
    """Indices (rest, taken), both ascending: `fraction` of the images, stratified by class, and the others."""
    order = stratified_order(labels, seed)
    count = min(max(round(fraction * len(labels)), 1), len(labels) - 1)
    return np.sort(order[count:]), np.sort(order[:count])


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
