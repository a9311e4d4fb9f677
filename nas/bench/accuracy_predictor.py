"""How well accuracy predictors rank architectures of a table that they were not trained on."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import kendalltau, spearmanr

from nas.bench.tabular import Tabular
from nas.errors import JobError
from nas.progress import Progress
from predictors.ceiling import COVERED
from predictors.registry import ACCURACY_PREDICTORS

Floats = NDArray[np.float64]


def bench_accuracy_predictors(
    table: Tabular,
    targets: Sequence[str],
    train: Sequence[int],
    seeds: int,
    predictors: Sequence[str],
    test: int,
    progress: Progress,
) -> pd.DataFrame:
    """A row for each predictor, target and number of training architectures: means and standard deviations over the seeds.

    For each seed the rows are drawn anew: the first ``train`` of them are learnt from, and ``test`` others, the same for
    every number, are predicted. Figures: see `judged`; seconds to fit and architectures a second to predict, as they came
    (one thread).

    Raises:
        JobError: a target, predictor or number is illegal.
    """
    for name in predictors:
        if name not in ACCURACY_PREDICTORS:
            raise JobError(f"--predictors: got {name!r}; legal: {', '.join(ACCURACY_PREDICTORS)}")
    scores = {target: table.values(target, "--target") for target in targets}
    usable = {target: usable_rows(values, target, train) for target, values in scores.items()}
    advance, done = progress.task("fit and predict", len(targets) * len(train) * seeds * len(predictors)), 0
    found = []
    for target, values in scores.items():
        for seed in range(seeds):
            order, held = drawn(usable[target], seed, train, test)
            for count in train:
                for name in predictors:
                    predictor = ACCURACY_PREDICTORS[name](table.features, seed)
                    began = time.perf_counter()
                    predictor.fit(table.codes[order[:count]], values[order[:count]])
                    fitted = time.perf_counter()
                    mean, std = predictor.predict(table.codes[held])
                    spent = time.perf_counter() - fitted
                    facts = {"predictor": name, "target": target, "train": count, "seed": seed}
                    speed = {"fit_seconds": fitted - began, "predicted_per_s": len(held) / spent}
                    found.append({**facts, **judged(mean, std, values[held]), **speed})
                    done += 1
                    advance(done)
    return summary(pd.DataFrame(found), ["predictor", "target", "train"])


def usable_rows(values: Floats, target: str, train: Sequence[int]) -> NDArray[np.int64]:
    """Which rows have a value. JobError where they are too few for the largest number to learn from and 10 to judge."""
    usable = np.flatnonzero(np.isfinite(values))
    rows = len(usable)
    if max(train) + 10 > rows:
        raise JobError(f"--train: got {max(train)}; legal: at most {rows - 10}, for {target!r} has {rows} rows")
    return usable


def drawn(
    usable: NDArray[np.int64], seed: int, train: Sequence[int], test: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The rows in the order of a seed, of which the first are learnt from; and up to ``test`` to judge, the same for every
    number of ``train``."""
    order = usable[np.random.default_rng([seed, 0]).permutation(len(usable))]
    return order, order[max(train) :][:test]


def judged(mean: Floats, std: Floats, true: Floats) -> dict[str, float]:
    """kendall, spearman, kendall_top (among the truly best tenth), within_10 and mape (relative errors), coverage_90 (share
    inside 1.645 standard deviations), and the mean absolute error of the more certain half over that of the other."""
    top = true >= np.quantile(true, 0.9)
    error = np.abs(mean - true)
    with np.errstate(divide="ignore", invalid="ignore"):
        relative = np.where(true != 0, error / np.abs(true), np.nan)
    certain = std <= np.median(std)
    return {
        "kendall": float(kendalltau(mean, true)[0]),
        "spearman": float(spearmanr(mean, true)[0]),
        "kendall_top": float(kendalltau(mean[top], true[top])[0]),
        "within_10": float((relative <= 0.1).mean()),
        "mape": float(np.nanmean(relative)),
        "coverage_90": float((error <= COVERED * std).mean()),
        "certain_over_rest": float(error[certain].mean() / max(error[~certain].mean(), 1e-12))
        if certain.any()
        else 1.0,
    }


def summary(frame: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """One row for each group of ``keys``: NAME_mean and NAME_std over the seeds, coverage_90 as its mean, and how many."""
    rows = []
    for group, part in frame.groupby(keys, sort=False):
        row: dict[str, Any] = dict(zip(keys, group, strict=True))
        row["seeds"] = int(part["seed"].nunique())
        for name in part.columns:
            if name not in (*keys, "seed"):
                if name == "coverage_90":
                    row[name] = float(part[name].mean())
                    continue
                row[f"{name}_mean"], row[f"{name}_std"] = float(part[name].mean()), float(part[name].std(ddof=0))
        rows.append(row)
    return pd.DataFrame(rows)
