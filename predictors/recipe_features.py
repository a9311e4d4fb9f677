"""Training recipes beside architectures, in one row (as FBNetV3 joins them; Dai et al., CVPR 2021, arXiv 2006.02049)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from predictors.errors import PredictorError
from predictors.features import Features

Floats = NDArray[np.float64]
Recipe = Mapping[str, Sequence[str] | Sequence[float]]  # gene -> its values by code, all words or all numbers
DECADE = 10.0


class RecipeFeatures:
    """Rows (n, G + R): genes or codes that other features read, then codes of R genes of a training recipe.

    A gene of words is one-hot, one of numbers is its number, as a logarithm where the values are positive and span more than
    a decade. These columns are repeated until they are about as many as the architecture's: distances, and the columns that a
    tree draws, would hardly know of five among hundreds.

    Args:
        features: of the architecture.
        recipe: of each gene the values, all words or all numbers.
    """

    def __init__(self, features: Features, recipe: Recipe) -> None:
        self._features, self._recipe = features, {gene: list(values) for gene, values in recipe.items()}
        self._scales = [scale_of(values) for values in recipe.values()]
        words = sum(len(v) for v, scale in zip(recipe.values(), self._scales, strict=True) if scale is None)
        numbers = sum(scale is not None for scale in self._scales)
        self._copies = max(1, round(features.width / (words + numbers)))
        self.columns, self.genes = features.columns + len(recipe), features.genes + self._copies * words
        self.width = features.width + self._copies * (words + numbers)

    @property
    def definition(self) -> dict[str, Any]:
        """From which `features_from` makes it again."""
        recipe = [[gene, values] for gene, values in self._recipe.items()]  # a list: files sort the keys of objects
        return {"kind": "recipe", "features": self._features.definition, "recipe": recipe}

    @classmethod
    def of(cls, definition: Mapping[str, Any], features_from: Callable[[Any], Features]) -> RecipeFeatures:
        """The features of a `definition`; ``features_from`` makes the others. PredictorError: it is none."""
        recipe = definition.get("recipe")
        if not isinstance(recipe, list) or not recipe or not all(map(_legal, recipe)):
            raise PredictorError(
                f"features: recipe: got {recipe!r}; legal: [gene, values] each, values all words or all numbers"
            )
        return cls(features_from(definition.get("features")), dict(recipe))

    def __call__(self, X: NDArray[Any]) -> NDArray[np.float32]:
        """(n, F) float32 for rows (n, G + R). PredictorError: a code of the recipe has no value."""
        G, genes = self._features.columns, self._features.genes
        own = self._features(X[:, :G])
        words, numbers = [np.zeros((len(X), 0))], [np.zeros((len(X), 0))]
        for codes, (gene, values), scale in zip(X[:, G:].T, self._recipe.items(), self._scales, strict=True):
            if codes.size and not 0 <= codes.min() <= codes.max() < len(values):
                came = f"{codes.min()} to {codes.max()}"
                raise PredictorError(f"X: recipe gene {gene!r}: got codes {came}; legal: 0 to {len(values) - 1}")
            if scale is None:
                words.append(codes[:, None] == np.arange(len(values)))
            else:
                numbers.append(scale[codes, None])
        return np.concatenate(
            [own[:, :genes], *words * self._copies, own[:, genes:], *numbers * self._copies], axis=1
        ).astype(np.float32)


def scale_of(values: Sequence[str] | Sequence[float]) -> Floats | None:
    """What a gene's values are to a model, by code; None where they are words."""
    if isinstance(values[0], str):
        return None
    found = np.array(values, dtype=np.float64)
    return np.log(found) if found.min() > 0 and found.max() > DECADE * found.min() else found


def _legal(pair: Any) -> bool:
    if not isinstance(pair, list) or len(pair) != 2 or not isinstance(pair[0], str):
        return False
    values = pair[1]
    if not isinstance(values, list) or not values:
        return False
    if all(isinstance(value, str) for value in values):
        return True
    return all(type(value) in (int, float) and np.isfinite(value) for value in values)
