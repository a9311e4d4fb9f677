"""Data sets by name. A loader is a function DataSection -> Data in its own module, imported when asked for."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, cast

from nas.data.split import Data
from nas.errors import JobError

if TYPE_CHECKING:
    from nas.job import DataSection

__all__ = ["data_names", "load_data"]

_LOADERS = {
    "bible-kjv": "nas.data.bible_kjv",
    "copy-recall": "nas.data.copy_recall",
    "digits": "nas.data.digits",
    "digits-pixels": "nas.data.digits_pixels",
    "fashion-mnist": "nas.data.fashion_mnist",
    "image-folder": "nas.data.image_folder",
    "text-file": "nas.data.text_file",
}


def data_names() -> list[str]:
    """Legal values of `data.name`."""
    return sorted(_LOADERS)


def load_data(section: DataSection) -> Data:
    """Load and split the data set of a job; JobError where its files are missing, broken or too few."""
    if section.name not in _LOADERS:
        raise JobError(f"data.name: came {section.name!r}; legal: one of {', '.join(data_names())}")
    return cast(Data, importlib.import_module(_LOADERS[section.name]).load(section))
