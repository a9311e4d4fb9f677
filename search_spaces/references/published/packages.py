"""Other packages' implementations, imported so that they work beside a CPU build of PyTorch."""

from __future__ import annotations

import functools
import importlib
from types import ModuleType

import torch


@functools.cache
def _declare_torchvision_operators() -> torch.library.Library | None:
    """torchvision's compiled operators are built for the CUDA packages; timm needs only that they are declared."""
    try:
        library = torch.library.Library("torchvision", "DEF")
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    except RuntimeError:  # declared already: a torchvision that works here
        return None
    return library


def timm_module(name: str) -> ModuleType:
    """The timm module ``name``, e.g. ``timm.models.poolformer``."""
    _declare_torchvision_operators()
    return importlib.import_module(name)
