"""Your own images: folder/<class>/*.png, or folder/train/<class>/* with folder/test/<class>/*."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageOps

from nas.data.base import ImageData, assemble, split_in_two
from nas.errors import JobError

if TYPE_CHECKING:
    from nas.job import DataSection

SUFFIXES = (".png", ".jpg", ".jpeg")
TEST_FRACTION, TEST_SEED = 0.2, 0


def load(section: DataSection) -> ImageData:
    """RGB images of `data.image_size` (shorter side resized, centre cut out), or of the one size they all have.

    Classes are the folder names, sorted. Without train/ and test/ a stratified fifth is the test split, whatever the
    seed. Mirroring is taken to keep labels: switch `train.augment` off where it does not. JobError for a folder without
    images, an unreadable image, fewer than two classes, or classes that differ between train/ and test/.
    """
    root = section.folder
    if root is None or not root.is_dir():
        raise JobError(f"data.folder: came {root}; legal: an existing folder with one folder of images a class")
    parts = [root / "train", root / "test"]
    if all(part.is_dir() for part in parts):
        (files, labels, names), (test_files, test_labels, test_names) = (_list(part) for part in parts)
        if names != test_names:
            odd = sorted(set(names) ^ set(test_names))
            raise JobError(f"data.folder: {root}: class {odd[0]!r} is in only one of train/ and test/; legal: both")
        images = _read(files + test_files, section.image_size)
        pool, test = images[: len(files)], images[len(files) :]
        return assemble(section, (pool, labels), (test, test_labels), names, flips=True)
    files, labels, names = _list(root)
    images = _read(files, section.image_size)
    rest, held = split_in_two(labels, TEST_FRACTION, TEST_SEED)
    return assemble(section, (images[rest], labels[rest]), (images[held], labels[held]), names, flips=True)


def _list(root: Path) -> tuple[list[Path], np.ndarray, list[str]]:
    names = sorted(folder.name for folder in root.iterdir() if folder.is_dir() and not folder.name.startswith("."))
    files: list[Path] = []
    labels: list[int] = []
    for label, name in enumerate(names):
        found = sorted(file for file in (root / name).iterdir() if file.suffix.lower() in SUFFIXES and file.is_file())
        if not found:
            raise JobError(
                f"data.folder: {root / name} holds no image; legal: {', '.join(SUFFIXES)} files in each class"
            )
        files += found
        labels += [label] * len(found)
    if len(names) < 2:
        listed = ", ".join(names) or "none"
        raise JobError(f"data.folder: {root} has {len(names)} class folders ({listed}); legal: at least 2")
    return files, np.array(labels, np.int64), names


def _read(files: list[Path], size: int | None) -> np.ndarray:
    """uint8 (N, 3, size, size)."""
    images: list[np.ndarray] = []
    for file in files:
        try:
            with Image.open(file) as opened:
                image = ImageOps.exif_transpose(opened).convert("RGB")
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            raise JobError(f"data.folder: {file} cannot be read as an image: {error}") from None
        if size is not None:
            image = ImageOps.fit(image, (size, size), Image.Resampling.BILINEAR)
        elif image.width != image.height or not 4 <= image.width <= 1024 or (images and image.width != len(images[0])):
            raise JobError(
                f"data.image_size: null, and {file} has {image.width}x{image.height} pixels; legal: a side in "
                "pixels, or square images of one size from 4 to 1024"
            )
        images.append(np.asarray(image))
    return np.ascontiguousarray(np.stack(images).transpose(0, 3, 1, 2))
