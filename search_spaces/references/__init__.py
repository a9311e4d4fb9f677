"""Why an operator is believed: slow independent references, degenerate settings, and implementations nobody here wrote.

A file here bears the name of the file in `search_spaces/operators` that it speaks about; `published/` holds the comparisons
that need other packages. `load` imports them all; the operators themselves never need them.
"""

import importlib
import pkgutil

from search_spaces.references.registry import Degenerate, Published, degenerate, published, reference
from search_spaces.references.registry import degenerates_of as degenerates_of
from search_spaces.references.registry import published_of as published_of
from search_spaces.references.registry import reference_of as reference_of


def load() -> None:
    """Imports, and so registers, every file of evidence."""
    for module in pkgutil.walk_packages(__path__, f"{__name__}."):
        importlib.import_module(module.name)


__all__ = [
    "Degenerate",
    "Published",
    "degenerate",
    "degenerates_of",
    "load",
    "published",
    "published_of",
    "reference",
    "reference_of",
]
