"""Latency on a device never seen, from a few architectures measured there and many on other devices."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import kendalltau, spearmanr

from nas.bench.accuracy_predictor import summary
from nas.bench.tabular import Tabular
from nas.errors import JobError
from nas.progress import Progress
from predictors.baselines import LinearTransfer, OperatorTransfer, ProxyTransfer
from predictors.ceiling import COVERED
from predictors.cell_features import CellFeatures
from predictors.encoding import Features
from predictors.sources import LearntSources, RememberedSources, Sources
from predictors.transfer import TransferPredictor

Floats = NDArray[np.float64]
POOL = 1000  # architectures from which those to measure are chosen
REFERENCE = 1000
HELP_SOURCE, HELP_QUERY = (
    900,
    1900,
)  # of HELP's table: rows before the first are learnt from, rows up to the second are asked


@dataclass(frozen=True)
class TransferTask:
    """Which columns are known devices and which are new; how many architectures of the known ones are learnt from; whether
    those to measure are chosen (they are random otherwise); and the middle share of the latencies that is judged."""

    sources: tuple[str, ...]
    targets: tuple[str, ...]
    train: int = HELP_SOURCE
    chosen: bool = False
    trim: float | None = None


def bench_latency_transfer(
    table: Tabular,
    task: TransferTask,
    samples: Sequence[int],
    seeds: int,
    predictors: Sequence[str],
    progress: Progress,
) -> pd.DataFrame:
    """A row for each predictor, target and number of samples: means and standard deviations over the seeds.

    Without ``trim``, ``train`` rows of the known devices are learnt from, drawn anew for each seed, and all rows are judged
    (NASFLAT's protocol). With it, as HELP does: its first 900 rows are learnt from and measured, and of the next 1,000 the
    middle ``trim`` by the target's latency are judged. Rows without a latency are left out; cells without a path are judged,
    but neither measured nor counted in relative errors (some devices skip them, in next to no time).

    Raises:
        JobError: a column, predictor or number is illegal.
    """
    for name in predictors:
        if name not in TRANSFERS:
            raise JobError(f"--predictors: got {name!r}; legal: {', '.join(TRANSFERS)}")
    known = np.stack([table.values(column, "--sources") for column in task.sources], axis=1)
    new = np.stack([table.values(column, "--targets") for column in task.targets], axis=1)
    good = np.flatnonzero((np.isfinite(known) & (known > 0)).all(axis=1) & (np.isfinite(new) & (new > 0)).all(axis=1))
    if len(good) < max(task.train, HELP_QUERY if task.trim else 0):
        raise JobError(f"--table: {len(good)} rows have all latencies; legal: at least {max(task.train, HELP_QUERY)}")
    if task.trim is not None and not 0 < task.trim <= 1:
        raise JobError(f"--trim: got {task.trim:g}; legal: above 0, up to 1")
    features = table.features
    whole = features.cell.connected(table.codes) if isinstance(features, CellFeatures) else np.ones(len(known), bool)
    advance, done = progress.task("transfer", seeds * len(task.targets) * len(samples) * len(predictors)), 0
    found: list[dict[str, Any]] = []
    for seed in range(seeds):
        order = good if task.trim else good[np.random.default_rng([seed, 0]).permutation(len(good))]
        train, rest = order[: task.train], order[task.train : HELP_QUERY] if task.trim else good
        if seed == 0 or not task.trim:  # HELP's are always the same
            learnt = LearntSources(table.features, table.codes[train], known[train])
            sources = RememberedSources(learnt, table.codes[order[:HELP_QUERY] if task.trim else good])
        measurable = train[whole[train]] if task.trim else good[whole[good]]
        for name in predictors:
            predictor = TRANSFERS[name](sources, table.features, table.codes[train[:REFERENCE]])
            for count in samples:
                rng = np.random.default_rng([seed, count, 1])
                rows = measurable[rng.permutation(len(measurable))[: POOL if task.chosen else count]]
                if task.chosen:
                    rows = rows[predictor.choose(table.codes[rows], count)]
                for number, target in enumerate(task.targets):
                    true = new[rest, number]
                    low, high = (
                        np.quantile(true, [(1 - task.trim) / 2, (1 + task.trim) / 2]) if task.trim else (0, np.inf)
                    )
                    judged = rest[(true >= low) & (true <= high)]
                    predictor.fit(table.codes[rows], new[rows, number])
                    mean, std = predictor.predict(table.codes[judged])
                    facts = {"predictor": name, "target": target, "samples": count, "seed": seed}
                    found.append({**facts, **scores(mean, std, np.log(new[judged, number]), whole[judged])})
                    done += 1
                    advance(done)
    return summary(pd.DataFrame(found), ["predictor", "target", "samples"])


def scores(mean: Floats, std: Floats, true: Floats, whole: NDArray[np.bool_]) -> dict[str, float]:
    """kendall, spearman and coverage_90 of log latencies (n,), and the mean absolute error of the more certain half over that
    of the other; within_5, within_10 and mape of those that are ``whole`` (n,)."""
    relative, error = np.abs(np.expm1(mean - true))[whole], np.abs(mean - true)
    certain = std <= np.median(std)
    rest = error[~certain].mean() if (~certain).any() else np.nan
    return {
        "kendall": float(kendalltau(mean, true)[0]),
        "spearman": float(spearmanr(mean, true)[0]),
        "within_5": float((relative <= 0.05).mean()),
        "within_10": float((relative <= 0.1).mean()),
        "mape": float(relative.mean()),
        "coverage_90": float((error <= COVERED * std).mean()),
        "certain_over_rest": float(error[certain].mean() / rest),
    }


# name -> a predictor of a new device, made of sources, features and reference rows; ours first
TRANSFERS: dict[str, Callable[[Sources, Features, NDArray[np.int64]], Any]] = {
    "shared": TransferPredictor,
    "proxy": lambda sources, features, reference: ProxyTransfer(sources),
    "linear": lambda sources, features, reference: LinearTransfer(sources, reference),
    "operators": lambda sources, features, reference: OperatorTransfer(features, reference),
}
