"""Tokens of training recipes, beside those of architectures."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from predictors.recipe_features import Recipe, scale_of
from predictors.token_sequences import CODE, COSTS, WIDTH, Integers, Tokens, code_of


class RecipeTokens(Tokens):
    """Those of an architecture, and one for each gene of a training recipe: of its name, and of its word or, scaled to mean
    0 and deviation 1 over the gene's values, its number. They are wired to nothing."""

    def __init__(self, architecture: Tokens, recipe: Recipe) -> None:
        self._architecture = architecture
        self._counts = np.array([len(values) for values in recipe.values()])
        self._first = len(architecture.vocabulary) + np.cumsum([0, *self._counts[:-1]])
        said = []
        for gene, values in recipe.items():
            scale = scale_of(values)
            if scale is None:
                codes = np.array([code_of(f"{gene} {word}") for word in values])
            else:
                codes = ((scale - scale.mean()) / (scale.std() or 1.0))[:, None] * code_of(f"number {gene}")
            name = np.tile(code_of(f"recipe {gene}"), (len(values), 1))
            said.append(np.hstack((name, codes, np.zeros((len(values), WIDTH - 2 * CODE)))))
        vocabulary = np.concatenate((architecture.vocabulary, *said)).astype(np.float32)
        costs = np.concatenate((architecture._costs, np.zeros((int(self._counts.sum()), len(COSTS)))))
        alone = architecture._wires.max() + 1 + np.arange(2)  # points of no other token
        super().__init__(vocabulary, costs, np.concatenate((architecture._wires, np.tile(alone, (len(recipe), 1)))))

    def held(self, X: NDArray[np.integer]) -> Integers:
        G = X.shape[1] - len(self._counts)
        return np.hstack((self._architecture.held(X[:, :G]), X[:, G:] + self._first))

    def sample(self, count: int, rng: np.random.Generator) -> NDArray[np.integer]:
        recipe = rng.integers(self._counts, size=(count, len(self._counts)))
        return np.hstack((self._architecture.sample(count, rng), recipe))
