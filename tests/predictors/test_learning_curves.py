"""Extrapolation on curves whose end is known, what must not change it, and the bench on files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kendalltau

from nas.bench.learning_curves import resampled_kendall
from nas.cli import main
from predictors import PredictorError
from predictors.learning_curves import FEWEST, extrapolate, shapes

EPOCHS = np.arange(1.0, 41.0)


def test_the_weights_are_of_three_families_alike_in_number() -> None:
    names = [name for name, _ in shapes()]
    assert {names.count(name) for name in names} == {len(names) // 3}
    found = extrapolate(EPOCHS[:8], 1 - 0.5 / EPOCHS[:8], 40)
    assert sum(found.families.values()) == pytest.approx(1.0)
    assert set(found.families) == {"power law", "log power", "exponential"}


@pytest.mark.parametrize("number", range(0, 150, 7))
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_what_is_left_begins_at_one_falls_and_curves_of_every_shape_are_foretold(number: int, sign: float) -> None:
    _, left = shapes()[number]
    x = np.linspace(0, 50, 2000)
    share = left(x)
    assert share[0] == pytest.approx(1.0)
    assert (np.diff(share) <= 0).all()
    assert (share >= 0).all()
    curve = 0.9 - sign * 0.6 * left(EPOCHS / 20)  # half of it is seen, without noise
    found = extrapolate(EPOCHS[:20], curve[:20], 40)
    assert abs(found.mean - curve[-1]) <= 1.645 * found.std
    left_to_go = abs(curve[-1] - curve[19])
    assert abs(found.mean - curve[-1]) <= 0.35 * left_to_go + 0.03 * np.ptp(curve[:20])


@settings(max_examples=25, deadline=None)
@given(
    scale=st.floats(1e-3, 1e3),
    shift=st.floats(-100, 100),
    unit=st.floats(1e-2, 1e3),
    fall=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_units_of_values_and_steps_change_nothing_else(
    scale: float, shift: float, unit: float, fall: bool, seed: int
) -> None:
    y = 0.9 - 0.5 * np.exp(-EPOCHS[:10] / 6) + 0.01 * np.random.default_rng(seed).normal(size=10)
    scale = -scale if fall else scale
    plain, other = extrapolate(EPOCHS[:10], y, 40), extrapolate(unit * EPOCHS[:10], shift + scale * y, unit * 40)
    assert other.mean == pytest.approx(shift + scale * plain.mean, rel=1e-6, abs=1e-6 * abs(scale))
    assert other.std == pytest.approx(abs(scale) * plain.std, rel=1e-5)


def test_it_is_the_bayesian_regression_by_brute_force() -> None:
    """The evidence of two shapes from a numerical integral over level, rise and noise, instead of the closed form."""
    from predictors import learning_curves as module

    x = EPOCHS[:6] / 6
    z = np.array([-2.0, -1.2, -0.7, -0.3, -0.2, 0.0])
    chosen = [shapes()[20][1], shapes()[120][1]]
    closed = [module._regressed(left, x, z, 3.0) for left in chosen]
    rng = np.random.default_rng(0)
    draws = 400_000
    noise = module.NOISE * (module.SHAPE + 1) / rng.gamma(module.SHAPE, size=draws)
    level, rise = (rng.normal(size=draws) * np.sqrt(noise * prior) for prior in (module.LEVEL, module.RISE))
    integrals, means = [], []
    for left in chosen:
        share = left(np.append(x, 3.0))
        basis = (share[-2] - share) / (share[0] - share[-2])
        missed = z - level[:, None] - rise[:, None] * basis[:-1]
        weight = np.exp(-0.5 * (missed**2).sum(axis=1) / noise) * noise ** (-0.5 * len(z))
        integrals.append(np.log(weight.mean()))
        means.append(float((weight * (level + rise * basis[-1])).sum() / weight.sum()))
    assert closed[0][0] - closed[1][0] == pytest.approx(integrals[0] - integrals[1], abs=0.25)
    assert [one[1] for one in closed] == pytest.approx(means, abs=0.1)


def test_resampled_ranks_are_those_of_the_samples_themselves() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.integers(5, size=12) * 1.0, rng.normal(size=12)
    times = rng.multinomial(12, np.full(12, 1 / 12), 20)
    found = resampled_kendall(a, b, times.astype(float))
    repeated = [kendalltau(np.repeat(a, row), np.repeat(b, row))[0] for row in times]
    assert found == pytest.approx(repeated)


def test_a_flat_curve_stays_where_it_is() -> None:
    found = extrapolate([1, 2, 3], [0.5, 0.5, 0.5], 9)
    assert (found.mean, found.std) == (0.5, 0.0)


@pytest.mark.parametrize(
    ("steps", "values", "final", "said"),
    [
        ([1, 2], [0.1, 0.2], 9, f"at least {FEWEST} ascending"),
        ([1, 3, 2], [0.1, 0.2, 0.3], 9, "ascending positive"),
        ([0, 1, 2], [0.1, 0.2, 0.3], 9, "ascending positive"),
        ([1, 2, 3], [0.1, 0.2], 9, "values: got shape"),
        ([1, 2, 3], [0.1, np.nan, 0.3], 9, "3 finite numbers"),
        ([1, 2, 3], [0.1, 0.2, 0.3], 2, "final: got 2; legal: a step from 3"),
    ],
)
def test_bad_input_is_named(steps: Any, values: Any, final: float, said: str) -> None:
    with pytest.raises(PredictorError, match=said):
        extrapolate(steps, values, final)


def curves(path: Path, count: int = 8) -> Path:
    """Curves without noise that cross: those that rise slowly end higher."""
    rows = []
    for i in range(count):
        values = 0.5 + 0.05 * i - (0.45 + 0.05 * i) * np.exp(-EPOCHS / (2.0 + 1.5 * i))
        rows += [{"curve": f"c{i}", "epoch": e, "value": v} for e, v in zip(EPOCHS, values, strict=True)]
    pd.DataFrame(rows).sample(frac=1.0, random_state=0).to_csv(path, index=False)
    return path


def test_the_bench_says_how_curves_that_cross_are_ranked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = curves(tmp_path / "curves.csv.gz")
    words = ["bench", "learning-curves", str(file), "--shares", "0.1,0.5", "--out", str(tmp_path / "rows.csv")]
    assert main([*words, "--json"]) == 0
    rows = pd.DataFrame(json.loads(capsys.readouterr().out)["rows"])
    assert len(rows) == 6
    assert len(pd.read_csv(tmp_path / "rows.csv")) == 6
    half = rows[rows["share"] == 0.5].set_index("predictor")
    assert half.loc["extrapolated", "kendall"] == pytest.approx(1.0)
    early = rows[rows["share"] == 0.1].set_index("predictor")
    assert early.loc["last-seen", "kendall"] < 0  # they cross
    assert early.loc["extrapolated", "kendall"] > early.loc["last-seen", "kendall"]
    assert (rows["kendall_low"] <= rows["kendall"] + 1e-9).all()
    assert main(words[:3]) == 0
    assert "extrapol" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "words", "said"),
    [
        (lambda t: t.drop(columns="epoch"), [], "lacks column 'epoch'"),
        (lambda t: t[t["curve"] < "c3"], [], "has 3 curves; legal: at least 5"),
        (lambda t: t[(t["curve"] != "c1") | (t["epoch"] < 30)], [], "one last epoch for all"),
        (lambda t: t.assign(value=t["value"].where(t["epoch"] != 4)), [], "curve c"),
        (lambda t: t.assign(value="good"), [], "legal: numbers"),
        (lambda t: t, ["--shares", "0.02"], "leaves 0 values"),
        (lambda t: t, ["--shares", "1.5"], "--shares: got '1.5'"),
        (lambda t: t, ["--shares", "half"], "--shares: got 'half'"),
    ],
)
def test_files_and_options_that_are_wrong_end_with_code_2(
    change: Any, words: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = pd.read_csv(curves(tmp_path / "good.csv"))
    change(table).to_csv(tmp_path / "bad.csv", index=False)
    assert main(["bench", "learning-curves", str(tmp_path / "bad.csv"), *words]) == 2
    assert said in " ".join(capsys.readouterr().err.split())


def test_curves_are_trained_kept_and_gone_on_with(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    job = tmp_path / "job.json"
    training = {"epochs": 3, "batch_size": 64, "warmup_epochs": 0.1}
    small = {
        "name": "curves",
        "threads": 1,
        "data": {"name": "digits", "limit": 200},
        "space": {"resolutions": [8], "mixers": ["mbconv"]},
        "train": training,
        "devices": [{"name": "cpu", "runtime": "torch"}],
    }
    job.write_text(json.dumps(small))
    out = tmp_path / "curves.csv"
    assert main(["bench", "train-curves", str(job), "--out", str(out), "--count", "2"]) == 0
    first = out.read_bytes()
    table = pd.read_csv(out)
    assert table.groupby("curve")["epoch"].apply(list).tolist() == [[1, 2, 3], [1, 2, 3]]
    assert table["value"].between(0, 1).all()
    assert main(["bench", "train-curves", str(job), "--out", str(out), "--count", "2"]) == 0
    assert out.read_bytes() == first
    job.write_text(json.dumps({**small, "train": {**training, "epochs": 4}}))
    assert main(["bench", "train-curves", str(job), "--out", str(out), "--count", "2"]) == 2
    assert "has 3 epochs; legal: 4" in " ".join(capsys.readouterr().err.split())
