"""Tables of architectures and their latencies on devices: a column a device, or a row for each architecture and device."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nas.bench.tabular import column_of, read_frame, read_tabular
from nas.errors import JobError
from predictors.cell_features import CellFeatures
from predictors.encoding import Features
from predictors.latency_features import LatencyFeatures, NumberParts, OperatorParts

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Architectures:
    """A table, and what stands for its architectures: codes (n, G) with their features, or numbers (n, G) without."""

    frame: pd.DataFrame
    X: NDArray[Any]
    features: Features | None = None

    @property
    def whole(self) -> NDArray[np.bool_]:
        """(n,) False for cells in which nothing gets from the input to the output."""
        if isinstance(self.features, CellFeatures):
            return self.features.cell.connected(self.X)
        return np.ones(len(self.X), bool)

    @property
    def told(self) -> NDArray[np.bool_]:
        """(n,) False for rows that lack a number."""
        return np.asarray(np.isfinite(self.X.astype(np.float64)).all(axis=1))

    def parts(self, rows: NDArray[np.int64]) -> LatencyFeatures:
        """The features of a predictor that learns from these rows."""
        return NumberParts.of(self.X[rows]) if self.features is None else OperatorParts(self.features)


def read_architectures(
    path: Path, operators: Sequence[str], space: str | None, features: Sequence[str]
) -> Architectures:
    """The table in ``path``, its architectures told by codes (see `read_tabular`) or by columns of numbers.

    features: names of columns, ``*`` for any letters; numbers that are not negative.

    Raises:
        JobError: both or neither are given, a column is missing, or a value is illegal.
    """
    if not features:
        if not operators and space is None:
            raise JobError(
                "--operators: is missing; legal: --operators, --space or --features, which tell the architectures"
            )
        read = read_tabular(path, operators, space)
        return Architectures(read.frame, read.codes, read.features)
    if operators or space is not None:
        raise JobError("--features: came with --operators or --space; legal: one of them")
    frame = read_frame(path)
    named = [str(name) for name in frame.columns]
    chosen: list[str] = []
    for wanted in features:
        found = fnmatch.filter(named, wanted) if "*" in wanted else [wanted]
        if not found:
            raise JobError(f"--features: {wanted!r} is none of the columns; legal: {', '.join(named)}")
        chosen += [name for name in found if name not in chosen]
    X = np.stack([column_of(frame, name, "--features") for name in chosen], axis=1)
    wrong = [name for name, column in zip(chosen, X.T, strict=True) if (column < 0).any()]
    if wrong:
        raise JobError(f"--features: column {wrong[0]!r} has negative values; legal: numbers from 0")
    return Architectures(frame, X)


def read_devices(
    frame: pd.DataFrame, targets: Sequence[str], device: Sequence[str], group: str | None
) -> tuple[dict[str, Floats], NDArray[Any] | None]:
    """Latencies (n,) by device, nan where there is none, and the groups (n,) of the rows, if a column of them is named.

    targets: columns, or sums ``a+b`` and ratios ``a/b`` of columns. device: columns whose values together name the device
    of a row.

    Raises:
        JobError: a column is missing, or a latency is not positive.
    """
    for option, columns in (("--device", device), ("--group", [group] if group else [])):
        for column in columns:
            if column not in frame.columns:
                raise JobError(f"{option}: got {column!r}; legal: {', '.join(map(str, frame.columns))}")
    if not targets:
        raise JobError("--target: is empty; legal: columns of latencies")
    names = frame[list(device)].astype(str).agg("/".join, axis=1).to_numpy() if device else np.full(len(frame), "")
    found: dict[str, Floats] = {}
    for target in targets:
        ms = np.sum([_ratio(frame, term) for term in target.split("+")], axis=0)
        if (ms[np.isfinite(ms)] <= 0).any():
            raise JobError(f"--target: {target!r} has values that are not positive; legal: latencies")
        for name in dict.fromkeys(names):
            label = target if not name else name if len(targets) == 1 else f"{name} {target}"
            found[label] = np.where(names == name, ms, np.nan)
    return found, None if group is None else frame[group].astype(str).to_numpy()


def _ratio(frame: pd.DataFrame, term: str) -> Floats:
    """(n,) a column, or one over another (a batch's latency over its size)."""
    first, *rest = (column_of(frame, column.strip(), "--target") for column in term.split("/"))
    for column in rest:
        first = first / np.where(column > 0, column, np.nan)
    return first
