"""Converted models on disk: conversion is most of what a measurement costs, so none is done twice.

A model is found again by what made it: the runtime with its versions, options and precision, the module's own source code
and the shapes of its parameters and inputs. The values of the weights do not enter: a cached model is for timing, and a
timing does not read them. Exports and proofs of equality never use the cache.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import os
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from platformdirs import user_cache_path

from hardware.files import write_atomically

if TYPE_CHECKING:
    from torch import Tensor, nn

VARIABLE = "NAS_CACHE"  # another folder than the user's own for caches


def cache_folder() -> Path:
    """Where the project keeps what can be made again: ``$NAS_CACHE``, or its place in the user's cache folder."""
    root = os.environ.get(VARIABLE)
    return Path(root) if root else user_cache_path("hybrid-nas", appauthor=False)


class ConversionCache:
    """Converted models in a folder, by default ``conversions`` in `cache_folder`."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or cache_folder() / "conversions"

    def key(self, module: nn.Module, inputs: tuple[Tensor, ...], runtime: Mapping[str, Any]) -> str:
        """The file name of a module converted for these inputs by the runtime of that `Runtime.describe`."""
        wanted = {name: runtime[name] for name in ("runtime", "precision", "versions", "options")}
        tensors = [(name, tuple(t.shape), str(t.dtype)) for name, t in module.state_dict(keep_vars=True).items()]
        shapes = [(tuple(x.shape), str(x.dtype)) for x in inputs]
        # repr shows sizes that are no parameters (strides, heads); the sources, what is done with them
        facts = [wanted, repr(module), tensors, shapes, _plain(module), _sources(module), _converters()]
        text = json.dumps(facts, default=str)
        return hashlib.sha256(text.encode()).hexdigest()

    def get(self, key: str) -> bytes | None:
        """The model of that key, or None."""
        try:
            return (self.folder / key).read_bytes()
        except OSError:
            return None

    def put(self, key: str, model: bytes) -> None:
        """Keeps a model; a folder that cannot be written costs time only."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            write_atomically(self.folder / key, model)
        except OSError:
            return


def _plain(module: Any) -> list[Any]:
    """The plain values that modules keep beside their parameters: sizes, flags, wiring."""
    found = []
    for name, part in module.named_modules():
        values = {k: v for k, v in vars(part).items() if not k.startswith("_") and k != "training"}
        found.append(
            (name, sorted((k, repr(v)) for k, v in values.items() if isinstance(v, bool | int | str | tuple | list)))
        )
    return found


def _sources(module: Any) -> list[str]:
    """A digest of every source file that defines a class of the module or of its parts, torch's own left out."""
    classes = {base for part in module.modules() for base in type(part).__mro__}
    names = {cls.__module__ for cls in classes}
    return sorted(_source(name) for name in names if name.split(".")[0] not in ("torch", "builtins", "abc", "typing"))


@lru_cache(maxsize=1)
def _converters() -> str:
    """A digest of our own code that converts."""
    files = sorted(Path(__file__).parent.glob("*.py"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


@lru_cache(maxsize=4096)
def _source(module: str) -> str:
    import sys

    found = sys.modules.get(module)
    try:
        text = inspect.getsource(found) if found is not None else ""
    except (OSError, TypeError):
        text = ""
    return f"{module}:{hashlib.sha256(text.encode()).hexdigest()}"
