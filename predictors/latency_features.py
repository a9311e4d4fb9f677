"""What latency is told from: parts whose costs add up, and coordinates in which distances mean something."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from predictors.cell_features import CellFeatures
from predictors.encoding import Features, features_from
from predictors.errors import PredictorError
from predictors.transfer_features import operator_columns

Floats = NDArray[np.float64]
FEW = 12  # numbers a row up to which their products are parts too


class LatencyFeatures(Protocol):
    """Rows (n, G) -> parts (n, P), of which latency may be a sum, and coordinates (n, K), the first `genes` one-hot."""

    @property
    def columns(self) -> int:
        """G."""
        ...

    @property
    def genes(self) -> int: ...

    @property
    def definition(self) -> dict[str, Any]:
        """JSON-able; see `latency_features_from`."""
        ...

    def __call__(self, X: NDArray[Any]) -> tuple[Floats, Floats]: ...


class OperatorParts:
    """Genes or codes, by the features that suit their space.

    Of a cell the parts are its operators as written and as far as they are connected (some devices run what is not), pairs
    of the connected ones, and what its graph says.
    """

    def __init__(self, features: Features) -> None:
        self._features = features
        self.columns, self.genes = features.columns, features.genes

    @property
    def definition(self) -> dict[str, Any]:
        """From which `latency_features_from` makes it again."""
        return {"kind": "operators", "features": self._features.definition}

    def __call__(self, X: NDArray[np.integer]) -> tuple[Floats, Floats]:
        """See `LatencyFeatures`."""
        near = self._features(X).astype(np.float64)
        if not isinstance(self._features, CellFeatures):
            return near, near
        cell = self._features.cell
        (_, _), (live, genes), (both, _) = operator_columns(self._features, X)
        near = np.concatenate([near, both], axis=1)
        one_hot = live[:, :genes].reshape(len(X), len(cell.edges), -1)
        pairs = [
            (one_hot[:, a, :, None] * one_hot[:, b, None, :]).reshape(len(X), -1)
            for a in range(len(cell.edges))
            for b in range(a)
        ]
        return np.concatenate([near, *pairs], axis=1), near


class NumberParts:
    """Rows of numbers that describe a network, none negative, such as its MACs or widths.

    The parts are the numbers, and where they are few their products (work is often width times depth); the coordinates are
    logs, log(1 + x / scale), so that a network of twice the work is as far from one as that from half of it.

    Args:
        scales: (G,) of each number, positive: what counts as one; see `NumberParts.of`.
    """

    def __init__(self, scales: Floats) -> None:
        self.scales = np.asarray(scales, dtype=np.float64)
        self.columns, self.genes = len(self.scales), 0

    @classmethod
    def of(cls, X: Floats) -> NumberParts:
        """For rows like X (n, G): the scale is the tenth part of the mean of what is above 0."""
        counted = np.maximum((X > 0).sum(axis=0), 1)
        scales = 0.1 * np.where(X > 0, X, 0.0).sum(axis=0) / counted
        return cls(np.where(scales > 0, scales, 1.0))

    @property
    def definition(self) -> dict[str, Any]:
        """From which `latency_features_from` makes it again."""
        return {"kind": "numbers", "scales": self.scales.tolist()}

    def __call__(self, X: NDArray[Any]) -> tuple[Floats, Floats]:
        """See `LatencyFeatures`."""
        X = np.asarray(X, dtype=np.float64) / self.scales
        near = np.log1p(np.maximum(X, 0.0))
        if self.columns > FEW:
            return X, near
        a, b = np.tril_indices(self.columns)
        return np.concatenate([X, X[:, a] * X[:, b]], axis=1), near


def latency_features_from(definition: Mapping[str, Any]) -> LatencyFeatures:
    """The features of that definition.

    Raises:
        PredictorError: it is none. SpaceError: the space in it is none.
    """
    kind = definition.get("kind")
    if kind == "operators" and isinstance(definition.get("features"), Mapping):
        return OperatorParts(features_from(definition["features"]))
    scales = definition.get("scales")
    if kind == "numbers" and isinstance(scales, list) and scales and all(map(_positive, scales)):
        return NumberParts(np.array(scales))
    raise PredictorError(
        f"features: got {dict(definition)!r}; legal: kind operators with features, or numbers with positive scales"
    )


def _positive(number: Any) -> bool:
    return type(number) in (int, float) and 0 < number < float("inf")
