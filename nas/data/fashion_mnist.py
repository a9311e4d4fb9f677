"""Fashion-MNIST (Xiao et al. 2017, arXiv:1708.07747; MIT licence): 60,000 + 10,000 grey images of 28x28, ten classes.

The four IDX files come from `data.folder`, else the Debian package dataset-fashion-mnist, else the user's cache, else
a download into that cache. The official 10,000 test images are the test split.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import urllib.request
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nas.data.base import ImageData, assemble
from nas.errors import JobError
from nas.files import write_atomically

if TYPE_CHECKING:
    from nas.job import DataSection

DEBIAN = Path("/usr/share/datasets/fashion-mnist")
URL = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com"
CLASSES = ("T-shirt/top", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")
# sha256 of the unpacked files: packagers compress them again, so the .gz files themselves differ
SHA256 = {
    "train-images-idx3-ubyte.gz": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "train-labels-idx1-ubyte.gz": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "t10k-images-idx3-ubyte.gz": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "t10k-labels-idx1-ubyte.gz": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
}
SIZES = dict(zip(SHA256, (16 + 60_000 * 784, 8 + 60_000, 16 + 10_000 * 784, 8 + 10_000), strict=True))


def load(section: DataSection) -> ImageData:
    """Ten classes, one channel, 28x28; mirroring keeps labels. JobError where the files are nowhere or broken."""
    folder = find_folder(section.folder)
    train_images, train_labels, test_images, test_labels = (read_idx(folder / name) for name in SHA256)
    for images, labels in ((train_images, train_labels), (test_images, test_labels)):
        if images.shape[1:] != (28, 28) or labels.shape != images.shape[:1] or not len(labels) or labels.max() > 9:
            raise JobError(
                f"data.folder: {folder} has images {images.shape} and labels {labels.shape}; legal: images "
                "(N, 28, 28), as many labels, each 0 to 9"
            )
    pool, test = (train_images[:, None], train_labels), (test_images[:, None], test_labels)
    return assemble(section, pool, test, CLASSES, flips=True)


def cache_folder() -> Path:
    """Where downloads are kept: $XDG_CACHE_HOME/hybrid-nas/fashion-mnist, by default under ~/.cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hybrid-nas" / "fashion-mnist"


def find_folder(given: Path | None, debian: Path = DEBIAN, cache: Path | None = None, url: str = URL) -> Path:
    """The folder with the four files, downloading them if they are nowhere. JobError naming the three ways out."""
    if given is not None:
        missing = [name for name in SHA256 if not (given / name).is_file()]
        if missing:
            raise JobError(f"data.folder: {given} has no {missing[0]}; legal: a folder with {', '.join(SHA256)}")
        return given
    cache = cache_folder() if cache is None else cache
    for folder in (debian, cache):
        if all((folder / name).is_file() for name in SHA256):
            return folder
    try:
        for name in SHA256:
            if not (cache / name).is_file():
                write_atomically(cache / name, _download(f"{url}/{name}", name))
    except (OSError, ValueError) as error:
        raise JobError(
            f"data: Fashion-MNIST is not on this machine and its download failed ({error}). Three ways: "
            "(1) apt-get install dataset-fashion-mnist; "
            f"(2) put {', '.join(SHA256)} into a folder and name it in data.folder; "
            f"(3) run again with a connection to {url} (files are kept in {cache})"
        ) from None
    return cache


def _download(url: str, name: str) -> bytes:
    with urllib.request.urlopen(url, timeout=60) as answer:
        packed: bytes = answer.read(SIZES[name] + 1)  # the packed file is smaller; more is not what we asked for
    content = _unpack(packed, url, SIZES[name])
    if len(content) != SIZES[name] or hashlib.sha256(content).hexdigest() != SHA256[name]:
        raise ValueError(f"{url} is not the file that was published: size or sha256 differs")
    return packed


def _unpack(packed: bytes, source: str, limit: int) -> bytes:
    try:
        reader = zlib.decompressobj(wbits=31)
        content = reader.decompress(packed, limit + 1)
    except zlib.error as error:
        raise ValueError(f"{source} is not a gzip file ({error})") from None
    if not reader.eof and len(content) <= limit:
        raise ValueError(f"{source} is cut off")
    return content


def read_idx(path: Path) -> np.ndarray:
    """A gzip-packed IDX file of bytes as uint8 (N,) or (N, H, W); JobError naming a file that is not one."""
    try:
        with gzip.open(path) as file:
            content = file.read()
        if content[:3] != b"\0\0\x08" or len(content) < 4:
            raise ValueError("not an IDX file of bytes")
        rank = content[3]
        shape = tuple(int(n) for n in np.frombuffer(content, ">u4", rank, 4))
        return np.frombuffer(content, np.uint8, offset=4 + 4 * rank).reshape(shape)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise JobError(f"data.folder: {path} cannot be read: {error}; legal: the .gz files as published") from None
