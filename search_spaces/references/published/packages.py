"""Other packages' implementations, imported so that they work beside a CPU build of PyTorch."""

from __future__ import annotations

import functools
import importlib
import sys
from types import ModuleType

import torch


@functools.cache
def mend_torchvision() -> torch.library.Library | None:
    """Makes torchvision importable where its compiled operators do not load (they are built for another PyTorch): what
    imports it here needs only that two of them are declared. The result must be kept alive."""
    try:
        importlib.import_module("torchvision")
        return None
    except ModuleNotFoundError:
        return None
    except RuntimeError:
        for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
            del sys.modules[name]
    library = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    return library


def package_module(name: str) -> ModuleType:
    """The module ``name`` of another package, e.g. ``timm.models.metaformer``."""
    mend_torchvision()
    return importlib.import_module(name)
