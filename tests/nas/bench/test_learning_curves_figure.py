"""The picture of `nas bench learning-curves --plot`: it holds the rows, is made anew the same, and asks for what it needs."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from nas.bench.learning_curves import METHODS, bench_learning_curves, read_curves
from nas.bench.learning_curves_figure import ASIDE, draw
from nas.cli import main
from nas.errors import JobError

SHARES = [0.25, 0.5]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng, epochs = np.random.default_rng(0), np.arange(1, 21)
    rows = [
        {"curve": f"c{i}", "epoch": e, "value": 0.9 - 0.5 * np.exp(-e / (2 + i)) + rng.normal(0, 0.01)}
        for i in range(6)
        for e in epochs
    ]
    path = tmp_path_factory.mktemp("curves") / "curves.csv"
    pd.DataFrame(rows).to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def rows(file: Path) -> pd.DataFrame:
    return bench_learning_curves(read_curves(file), SHARES)


def test_every_figure_of_the_rows_is_drawn_with_its_spread(
    rows: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Figure] = []
    save = Figure.savefig
    monkeypatch.setattr(Figure, "savefig", lambda self, *a, **k: (drawn.append(self), save(self, *a, **k))[1])
    draw(rows, tmp_path / "new" / "curves.png")
    assert (tmp_path / "new" / "curves.png").read_bytes().startswith(b"\x89PNG")
    ((ranks, errors),) = [figure.axes for figure in drawn]
    assert [text.get_text() for text in errors.get_legend().get_texts()] == list(METHODS)
    for axes, value, low, high in (
        (ranks, rows["kendall"], rows["kendall_low"], rows["kendall_high"]),
        (errors, rows["error_mean"], (rows["error_mean"] - rows["error_std"]).clip(lower=0), None),
    ):
        high = rows["error_mean"] + rows["error_std"] if high is None else high
        for container, name in zip(axes.containers, METHODS, strict=True):
            own = rows["predictor"] == name
            line, _, (bars,) = container
            assert line.get_ydata() == pytest.approx(value[own])
            assert np.abs(line.get_xdata() - SHARES).max() <= ASIDE + 1e-12
            ends = np.array([segment[:, 1] for segment in bars.get_segments()])
            assert ends == pytest.approx(np.column_stack([low[own], high[own]]))


def test_the_command_draws_the_same_again(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = [tmp_path / "a.png", tmp_path / "b.png"]
    for path in made:
        words = ["bench", "learning-curves", str(file), "--shares", "0.25,0.5", "--plot", str(path), "--json"]
        assert main(words) == 0
    capsys.readouterr()
    assert made[0].read_bytes() == made[1].read_bytes()


def test_without_matplotlib_it_says_what_to_install(
    rows: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(JobError, match="--plot: needs matplotlib; legal: pip install matplotlib"):
        draw(rows, tmp_path / "curves.png")
