"""Tables of architectures, as CSV (gzip too) or Parquet: their codes, and the features that suit them."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api.types import is_bool_dtype, is_numeric_dtype

from nas.errors import JobError
from predictors.cell_features import CellFeatures
from predictors.cells import CELLS
from predictors.code_features import CodeFeatures
from predictors.encoding import Features, features_of
from predictors.recipe_features import RecipeFeatures
from search_spaces import SpaceError, get_space
from search_spaces.spaces.nas_bench_201 import genes_of

Codes = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Tabular:
    """A table: codes (n, G) of its architectures, features of such codes, and all its columns."""

    codes: Codes
    features: Features
    frame: pd.DataFrame

    def values(self, column: str, option: str) -> Floats:
        """(n,) a column of numbers; nan where there is none. JobError naming ``option`` and the columns."""
        return column_of(self.frame, column, option)


def column_of(frame: pd.DataFrame, column: str, option: str) -> Floats:
    """(n,) a column of numbers; nan where there is none. JobError naming ``option`` and the columns."""
    if column not in frame.columns:
        raise JobError(f"{option}: got {column!r}; legal: {_columns(frame, column)}")
    found = pd.to_numeric(frame[column], errors="coerce").to_numpy(np.float64)
    if not np.isfinite(found).any():
        raise JobError(f"{option}: column {column!r} holds no numbers")
    return np.asarray(found)


def read_tabular(
    path: Path, operators: Sequence[str] | None, space: str | None, option: str = "--operators"
) -> Tabular:
    """The table in ``path``, whose architectures are in the columns ``operators``, or where ``space`` usually has them.

    operators: columns of categories, one a choice; ``option`` is what errors about them name. space: a cell (`CELLS`), a
    shipped space or the file of one; with ``operators`` too, its genes are those columns, as indices of the values, as are
    columns that have the genes' names.

    Raises:
        JobError: neither or an unknown one is given, a column is missing, or a code is illegal; nothing is read in vain.
    """
    frame = read_frame(path)
    if operators:
        for column in operators:
            if column not in frame.columns:
                raise JobError(f"{option}: got {column!r}; legal: {_columns(frame, column)}")
    if space is None:
        if not operators:
            raise JobError(f"{option}: is missing; legal: columns of the table, or a --space that says where they are")
        coded = [np.unique(frame[column].astype(str), return_inverse=True) for column in operators]
        features: Features = CodeFeatures(_shared([len(names) for names, _ in coded]))
        return Tabular(np.stack([codes for _, codes in coded], axis=1), features, frame)
    genes: list[str] = []
    if space in CELLS:
        features = CellFeatures(CELLS[space])
    else:
        try:
            known = get_space(space)
        except SpaceError as error:
            raise JobError(f"--{error}; or a cell: {', '.join(CELLS)}") from None
        features, genes = features_of(known), [choice.name for choice in known.choices]
    if operators or (genes and set(genes) <= set(frame.columns)):
        codes = frame[list(operators or genes)].to_numpy()
    elif space.partition("/")[0] in _USUAL:
        codes = _USUAL[space.partition("/")[0]](frame)
    else:
        raise JobError(
            f"{option}: is missing; --space {space} says not where its genes are, no columns have their names"
        )
    return Tabular(_checked(codes, features, option), features, frame)


def with_recipe(table: Tabular, columns: Sequence[str], option: str = "--recipe") -> Tabular:
    """The table with genes of a training recipe behind those of its architectures (`RecipeFeatures`): columns of numbers, or of
    words, which are categories, as true and false are.

    Raises:
        JobError: a column is missing or named twice, or lacks a number.
    """
    recipe: dict[str, list[str] | list[float]] = {}
    codes = [table.codes]
    for name in columns:
        if name not in table.frame.columns:
            raise JobError(f"{option}: got {name!r}; legal: {_columns(table.frame, name)}")
        if name in recipe:
            raise JobError(f"{option}: {name!r} came twice; legal: once each")
        column = table.frame[name]
        if is_numeric_dtype(column) and not is_bool_dtype(column):
            column = column.astype(np.float64)
            if not np.isfinite(column).all():
                raise JobError(f"{option}: column {name!r} lacks numbers; legal: one in every row")
        else:
            column = column.astype(str)
        values, coded = np.unique(column.to_numpy(), return_inverse=True)
        recipe[name] = values.tolist()
        codes.append(coded[:, None])
    return Tabular(np.concatenate(codes, axis=1), RecipeFeatures(table.features, recipe), table.frame)


def _checked(codes: NDArray[np.generic], features: Features, option: str) -> Codes:
    if codes.shape[1] != features.columns:
        raise JobError(f"{option}: got {codes.shape[1]} columns; legal: {features.columns}, one a choice")
    try:
        found = codes.astype(np.int64)
        features(found[:1])
        whole = bool((found == codes.astype(np.float64)).all()) and found.min() >= 0
    except (ValueError, IndexError):
        whole = False
    if not whole:
        raise JobError(f"{option}: holds values that are no codes; legal: whole numbers from 0")
    return found


def read_frame(path: Path) -> pd.DataFrame:
    """The CSV (gzip too) or Parquet file in ``path``. JobError if it is none."""
    try:
        return pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path, dtype={"arch": str})
    except FileNotFoundError:
        raise JobError(f"--table: {path} does not exist") from None
    except (OSError, ValueError) as error:
        raise JobError(f"--table: {path} is neither CSV nor Parquet: {error}") from None


def _shared(counts: list[int]) -> list[int]:
    """The same number of codes for every column if they are about alike: rare ones are missing from some."""
    return [max(counts)] * len(counts) if max(counts) <= min(counts) + 2 else counts


def _columns(frame: pd.DataFrame, wrong: str) -> str:
    names = [str(name) for name in frame.columns]
    near = difflib.get_close_matches(wrong, names, n=1)
    return (f"{near[0]!r} (did you mean it?), " if near else "") + ", ".join(names)


def _nas_bench_201(frame: pd.DataFrame) -> Codes:
    edges = [f"e{a}{b}" for a, b in CELLS["nas-bench-201"].edges]
    if set(edges) <= set(frame.columns):
        return frame[edges].to_numpy(np.int64)
    if "arch_str" not in frame.columns:
        raise JobError(f"--space: nas-bench-201 needs the columns {', '.join(edges)}, or arch_str")
    return np.array([genes_of(str(text)) for text in frame["arch_str"]], np.int64)


def _digits(start: str) -> Callable[[pd.DataFrame], Codes]:
    """Codes that are the digits of a column "arch" after ``start`` and without underscores."""

    def read(frame: pd.DataFrame) -> Codes:
        if "arch" not in frame.columns:
            raise JobError("--space: it needs a column 'arch' with a digit for each choice")
        texts = [str(text).rpartition(start)[2] if start else str(text) for text in frame["arch"]]
        try:
            return np.array([[int(digit) for digit in text.replace("_", "")] for text in texts], np.int64)
        except ValueError:
            raise JobError("--space: column 'arch' holds other things than digits for choices") from None

    return read


# space -> where published tables of it have the architectures
_USUAL: dict[str, Callable[[pd.DataFrame], Codes]] = {
    "nas-bench-201": _nas_bench_201,
    "transnas-micro": _digits("-"),
    "nas-bench-macro": _digits(""),
}
