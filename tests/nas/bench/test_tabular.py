"""Tables of users: read from CSV and Parquet, by columns or by the space they are of."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from nas.bench.tabular import read_tabular
from nas.errors import JobError
from predictors.cell_features import CellFeatures
from predictors.code_features import CodeFeatures
from predictors.features import ArchitectureFeatures

EDGES = ["e01", "e02", "e12", "e03", "e13", "e23"]


def cells(count: int = 40) -> pd.DataFrame:
    codes = np.random.default_rng(0).integers(5, size=(count, 6))
    return pd.DataFrame(codes, columns=EDGES).assign(score=codes.sum(axis=1) / 24)


@pytest.mark.parametrize("name", ["table.csv", "table.csv.gz", "table.parquet"])
def test_the_same_table_in_every_format(name: str, tmp_path: Path) -> None:
    frame, path = cells(), tmp_path / name
    frame.to_parquet(path) if name.endswith("parquet") else frame.to_csv(path, index=False)
    read = read_tabular(path, None, "nas-bench-201")
    assert np.array_equal(read.codes, frame[EDGES].to_numpy())
    assert isinstance(read.features, CellFeatures)
    assert np.allclose(read.values("score", "--target"), frame["score"])


def test_columns_of_words_are_categories(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {"mixer": ["conv", "ssd", "attention", "conv"], "depth": [2, 4, 2, 8], "y": [1.0, 2.0, 3.0, 4.0]}
    )
    frame.to_csv(tmp_path / "t.csv", index=False)
    read = read_tabular(tmp_path / "t.csv", ["mixer", "depth"], None)
    assert read.codes.tolist() == [[1, 0], [2, 1], [0, 0], [1, 2]]
    assert isinstance(read.features, CodeFeatures)
    assert read.features(read.codes).shape == (4, read.features.width)


def test_published_strings_are_read(tmp_path: Path) -> None:
    strings = {
        "nas-bench-201": ("arch_str", ["|nor_conv_3x3~0|+|none~0|skip_connect~1|+|avg_pool_3x3~0|none~1|none~2|"]),
        "transnas-micro": ("arch", ["64-41414-3_01_400".replace("4_", "3_").replace("400", "200")]),
        "nas-bench-macro": ("arch", ["02012100"]),
    }
    expected = {
        "nas-bench-201": [3, 0, 1, 4, 0, 0],
        "transnas-micro": [3, 0, 1, 2, 0, 0],
        "nas-bench-macro": [0, 2, 0, 1, 2, 1, 0, 0],
    }
    for space, (column, texts) in strings.items():
        pd.DataFrame({column: texts}).to_csv(tmp_path / f"{space}.csv", index=False, quoting=2)
        read = read_tabular(tmp_path / f"{space}.csv", None, space)
        assert read.codes.tolist() == [expected[space]]
        assert read.features(read.codes).shape[1] == read.features.width
    assert isinstance(read.features, ArchitectureFeatures)


@pytest.mark.parametrize(
    ("operators", "space", "message"),
    [
        (None, None, "--operators: is missing; legal: columns of the table, or a --space"),
        (["e01", "e20"], None, r"--operators: got 'e20'; legal: .*did you mean it"),
        (EDGES[:4], "nas-bench-201", "--operators: got 4 columns; legal: 6"),
        ([*EDGES[:5], "score"], "nas-bench-201", "--operators: holds values that are no codes"),
        (
            None,
            "hybrid-vision/tiny",
            "--operators: is missing; --space hybrid-vision/tiny says not where its genes are",
        ),
        (None, "nonsense", r"--space: got 'nonsense'; legal: .*or a cell: nas-bench-201, transnas-micro"),
        (None, "transnas-micro", "--space: it needs a column 'arch'"),
    ],
)
def test_wrong_options_are_named(operators: list[str] | None, space: str | None, message: str, tmp_path: Path) -> None:
    cells().to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(JobError, match=message):
        read_tabular(tmp_path / "t.csv", operators, space)


def test_files_and_columns_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(JobError, match=r"--table: .* does not exist"):
        read_tabular(tmp_path / "none.csv", EDGES, None)
    (tmp_path / "t.parquet").write_text("no parquet")
    with pytest.raises(JobError, match=r"--table: .* is neither CSV nor Parquet"):
        read_tabular(tmp_path / "t.parquet", EDGES, None)
    cells().assign(name="words").to_csv(tmp_path / "t.csv", index=False)
    read = read_tabular(tmp_path / "t.csv", EDGES, None)
    with pytest.raises(JobError, match=r"--target: got .scor.; legal: .score. .did you mean it"):
        read.values("scor", "--target")
    with pytest.raises(JobError, match="--target: column 'name' holds no numbers"):
        read.values("name", "--target")
