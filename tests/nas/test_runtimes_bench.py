"""Mixers in runtimes: equal work, fair competition, a changed winner found, gains by family."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from nas.bench.runtimes import gains, mixers_at, winners
from nas.bench.runtimes_study import explained, study_runtimes
from nas.errors import JobError
from nas.progress import Silent
from search_spaces import cost, get_space

TINY = get_space("hybrid-vision/tiny")


def rows(*cells: tuple[str, str, str, float]) -> pd.DataFrame:
    """mixer, runtime, precision, ms"""
    frame = pd.DataFrame(cells, columns=["mixer", "runtime", "precision", "median_ms"])
    return frame.assign(shape="1x1x1", family="conv", competes=True, error=0.01, spec="", refused=None)


def test_every_mixer_has_the_size_nearest_to_the_common_work() -> None:
    shape = max(spec.shape for spec in TINY.specs() if spec.name == "mhsa")
    chosen, target = mixers_at(TINY, shape)
    groups = {s.name: [t for t in TINY.specs() if t.name == s.name and t.shape == shape] for s in chosen}
    middles = sorted(np.median([cost(spec).macs for spec in group]) for group in groups.values())
    assert middles[0] < target < middles[-1]
    for spec in chosen:
        distance = [abs(np.log((cost(other).macs + 1) / target)) for other in groups[spec.name]]
        assert abs(np.log((cost(spec).macs + 1) / target)) == min(distance)
    with pytest.raises(JobError, match=r"--shapes: got 7x7x7; legal in hybrid-vision/tiny: .*x"):
        mixers_at(TINY, (7, 7, 7))


def test_a_winner_competes_and_the_second_is_named() -> None:
    frame = rows(("a", "torch", "fp32", 2.0), ("b", "torch", "fp32", 1.0), ("idle", "torch", "fp32", 0.1))
    frame.loc[2, "competes"] = False
    (row,) = winners(frame).to_dict("records")
    assert (row["mixer"], row["median_ms"], row["second"], row["second_ms"]) == ("b", 1.0, "a", 2.0)


def test_gains_are_those_over_fp32_of_the_same_mixer() -> None:
    frame = rows(("a", "x", "fp32", 2.0), ("a", "x", "int8", 1.0), ("b", "x", "fp32", 3.0), ("c", "x", "int8", 1.0))
    (row,) = gains(frame, "int8").to_dict("records")
    assert (row["operators"], row["speed"], row["error_max"]) == (1, 2.0, 0.01)


def test_nothing_is_explained_where_no_winner_changes() -> None:
    frame = rows(("a", "torch", "fp32", 1.0), ("b", "torch", "fp32", 2.0), ("a", "onnxruntime", "fp32", 1.0))
    assert explained(frame).empty


def test_a_real_study_measures_and_profiles_what_it_says(tmp_path: Path, brief: None) -> None:
    shape = min(spec.shape for spec in TINY.specs() if spec.name == "mhsa")
    asked = {"torch": ["fp32"], "onnxruntime": ["fp32", "int8"]}
    found = study_runtimes(TINY, [shape], asked, 1, tmp_path, Silent())
    frame = pd.read_csv(tmp_path / "operators.csv")
    mixers = len(mixers_at(TINY, shape)[0])
    assert len(frame) == 3 * mixers == found["operators"]
    errors = frame.groupby(["runtime", "precision"])["error"].max()
    assert errors["torch", "fp32"] == 0
    assert errors["onnxruntime", "fp32"] < 1e-5 < errors["onnxruntime", "int8"] < 0.2
    assert {row["runtime"] for row in found["winners"]} == {"torch", "onnxruntime"}
    assert set(pd.read_csv(tmp_path / "int8.csv")["runtime"]) == {"onnxruntime"}
    assert (tmp_path / "runtimes.png").stat().st_size > 10_000
    for row in found["explained"]:
        assert row["ms"] > 0
