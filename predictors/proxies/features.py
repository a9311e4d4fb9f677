"""Zero-cost proxies as features, beside others."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from predictors.errors import PredictorError
from predictors.features import Features
from predictors.proxies.population import ProxyScores, RandomBatch
from search_spaces import make_space, row_keys


class ProxyFeatures:
    """Other features of rows of a space, then one column a proxy: ``sign(v) log(1 + |v|)``, as proxies span many orders.

    A network is scored once, when a row of it first comes. A value that is not defined counts as 0.

    Args:
        features: the others; their rows are those of the space.
        scores: of the space.
    """

    def __init__(self, features: Features, scores: ProxyScores) -> None:
        self._features, self._scores = features, scores
        self._known: dict[bytes, NDArray[np.float32]] = {}
        self.columns, self.genes = features.columns, features.genes
        self.width = features.width + len(scores.names)

    @property
    def definition(self) -> dict[str, Any]:
        """From which `features_from` makes it again. PredictorError where networks are fed a user's data."""
        scores = self._scores
        if not isinstance(scores.batch, RandomBatch):
            raise PredictorError("features: proxies on data of your own have no definition; legal: a RandomBatch")
        batch = {"size": scores.batch.size, "seed": scores.batch.seed}
        return {
            "kind": "proxies",
            "features": self._features.definition,
            "space": scores.space.definition,
            "names": scores.names,
            "seed": scores.seed,
            "batch": batch,
        }

    @classmethod
    def of(cls, definition: Mapping[str, Any], features_from: Callable[[Any], Features]) -> ProxyFeatures:
        """The features of a `definition`; ``features_from`` makes the others.

        Raises:
            PredictorError: it is none, or names an unknown proxy.
        """
        names, seed, batch = definition.get("names"), definition.get("seed"), definition.get("batch")
        numbers = [seed, *batch.values()] if isinstance(batch, dict) and set(batch) == {"size", "seed"} else [None]
        if not isinstance(names, list) or any(type(n) is not int or n < 0 for n in numbers):
            raise PredictorError(f"features: got {dict(definition)!r}; legal: names, seed, batch with size and seed")
        assert isinstance(batch, dict)
        scores = ProxyScores(make_space(definition.get("space")), names, int(numbers[0] or 0), RandomBatch(**batch))
        return cls(features_from(definition.get("features")), scores)

    def __call__(self, X: NDArray[Any]) -> NDArray[np.float32]:
        """(n, F) float32 for rows (n, G)."""
        rows = self._scores.space.canonicalise(X)
        keys = row_keys(rows)
        fresh = {key: row for key, row in zip(keys, rows, strict=True) if key not in self._known}
        if fresh:
            values = self._scores(np.stack(list(fresh.values())))[self._scores.names].to_numpy(np.float64)
            values = np.nan_to_num(np.sign(values) * np.log1p(np.abs(values)))
            self._known.update(zip(fresh, values.astype(np.float32), strict=True))
        own = np.array([self._known[key] for key in keys], np.float32).reshape(len(rows), len(self._scores.names))
        return np.column_stack((self._features(X), own))
