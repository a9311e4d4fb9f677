"""Fitted predictors as files: what they were fitted to, and how; they are fitted anew, deterministically, when loaded.

One NumPy archive (``.npz``) without pickled objects: ``header``, a JSON text (``schema_version``, ``kind``, and what the kind
needs), and arrays. A calibrated latency predictor is a folder instead: see `nas.latency.calibration`.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hardware.files import write_atomically
from predictors.errors import PredictorError

SCHEMA_VERSION = 1
HEADER = "header"


def write_fitted(path: Path, kind: str, facts: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> None:
    """Writes ``facts`` (JSON-able) and ``arrays`` (of numbers) as a ``kind`` to ``path``, atomically."""
    header = json.dumps({"schema_version": SCHEMA_VERSION, "kind": kind, **facts}, sort_keys=True)
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **{HEADER: np.array(header)}, **arrays)
    write_atomically(path, buffer.getvalue())


def read_fitted(
    path: Path,
    kind: str,
    facts: Mapping[str, type],
    arrays: Mapping[str, int],
    optional: Mapping[str, int] | None = None,
) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """The facts and arrays that `write_fitted` wrote.

    Args:
        facts: name -> type of what the header must have.
        arrays: name -> dimensions of the arrays there must be, all finite numbers; optional: of those there may be.

    Raises:
        PredictorError: the file cannot be read, is of another kind or a newer version, or lacks something.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {**arrays, **{name: n for name, n in (optional or {}).items() if name in archive}}
            found = {name: archive[name] for name in (HEADER, *arrays)}
        header = json.loads(str(found.pop(HEADER)))
    except KeyError as error:
        raise PredictorError(f"{path}: lacks {error}; legal: what a predictor's save(path) wrote") from None
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, TypeError, AttributeError, RecursionError) as error:
        raise PredictorError(f"{path}: cannot be read as a saved predictor: {error}") from None
    if not isinstance(header, dict) or header.get("kind") != kind:
        came = header.get("kind") if isinstance(header, dict) else header
        raise PredictorError(f"{path}: kind: got {came!r}; legal here: {kind!r}")
    if header.get("schema_version") != SCHEMA_VERSION:
        raise PredictorError(
            f"{path}: schema_version: got {header.get('schema_version')!r}; this release reads {SCHEMA_VERSION}"
        )
    for name, wanted in facts.items():
        if type(header.get(name)) is not wanted:
            raise PredictorError(f"{path}: {name}: got {header.get(name)!r}; legal: {wanted.__name__}")
    for name, dimensions in arrays.items():
        array = found[name]
        if array.ndim != dimensions or array.dtype.kind not in "if" or not np.isfinite(array).all():
            raise PredictorError(
                f"{path}: {name}: got {array.dtype} of shape {array.shape}; legal: finite numbers in {dimensions} dimension(s)"
            )
    return header, found
