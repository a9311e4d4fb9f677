"""OpenVINO and NNCF, imported so that they do not report to their maker.

Importing either of them sends an event over the network and writes an identification number into the home folder, unless
the user has opted out; converting sends more. Without the package ``openvino-telemetry`` both do nothing of the kind, so
here they are imported as if it were not installed.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any

TELEMETRY = "openvino_telemetry"


def openvino() -> Any:
    """The package ``openvino``."""
    return _import("openvino")


def nncf() -> Any:
    """The package ``nncf``."""
    openvino()
    return _import("nncf")


def _import(name: str) -> Any:
    if name in sys.modules or TELEMETRY in sys.modules:  # too late: somebody else has decided
        return importlib.import_module(name)
    sys.modules[TELEMETRY] = None  # type: ignore[assignment]  # Python's way to say that a package does not exist
    try:
        return importlib.import_module(name)
    finally:
        del sys.modules[TELEMETRY]
