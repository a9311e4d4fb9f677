"""How rows of genes or codes become features; each kind is a callable with a definition from which it is made again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from predictors.cell_features import CellFeatures
from predictors.cells import CELLS
from predictors.code_features import CodeFeatures
from predictors.errors import PredictorError
from predictors.features import ArchitectureFeatures, Features
from predictors.proxies.features import ProxyFeatures
from predictors.recipe_features import RecipeFeatures
from search_spaces.space import SearchSpace
from search_spaces.spaces import make_space


def features_of(space: SearchSpace) -> Features:
    """The features that suit a space: of its cell's graph where it has one, otherwise of genes and cost."""
    name = space.name.partition("/")[0]
    return CellFeatures(CELLS[name]) if name in CELLS else ArchitectureFeatures(space)


def features_from(definition: Mapping[str, Any]) -> Features:
    """The features of that definition.

    Raises:
        PredictorError: it is none. SpaceError: the space in it is none.
    """
    kind = definition.get("kind")
    if kind == "space" and "space" in definition:
        return ArchitectureFeatures(make_space(definition["space"]))
    if kind == "cell" and definition.get("name") in CELLS:
        return CellFeatures(CELLS[str(definition["name"])])
    if kind == "codes":
        counts = definition.get("cardinalities")
        if isinstance(counts, list) and counts and all(type(n) is int and n > 0 for n in counts):
            return CodeFeatures(counts)
    if kind == "proxies" and isinstance(definition.get("features"), Mapping):
        return ProxyFeatures.of(definition, features_from)
    if kind == "recipe" and isinstance(definition.get("features"), Mapping):
        return RecipeFeatures.of(definition, features_from)
    legal = f"kind space, cell ({', '.join(CELLS)}) or codes; or proxies or a recipe beside the features of one of them"
    raise PredictorError(f"features: got {dict(definition)!r}; legal: {legal}")
