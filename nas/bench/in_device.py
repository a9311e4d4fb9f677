"""Latency on a device, from some hundreds of architectures measured on that device."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nas.bench.accuracy_predictor import summary
from nas.bench.in_device_table import Architectures
from nas.bench.latency_transfer import scores
from nas.errors import JobError
from nas.progress import Progress
from predictors.folds import group_folds
from predictors.in_device import FEWEST
from predictors.registry import IN_DEVICE_PREDICTORS

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Split:
    """How rows are held out: all but ``train`` of them, ``test`` of those at most; or, where ``groups`` (n,) are given, each
    of ``folds`` parts in turn, no group in two of them."""

    train: int
    test: int | None = None
    groups: NDArray[Any] | None = None
    folds: int = 10

    def draws(self, known: Rows, seed: int) -> Iterator[tuple[Rows, Rows]]:
        """Rows learnt from and rows judged, of the ``known`` ones."""
        rng = np.random.default_rng([seed, 0])
        if self.groups is None:
            order = known[rng.permutation(len(known))]
            yield order[: self.train], order[self.train :][: self.test]
            return
        groups = len(np.unique(self.groups[known]))
        if groups < self.folds:
            raise JobError(f"--group: holds {groups} groups; legal: at least as many as --folds ({self.folds})")
        fold = group_folds(self.groups[known], self.folds, rng)
        for number in range(self.folds):
            yield known[fold != number], known[fold == number]


def bench_in_device(
    architectures: Architectures,
    devices: Mapping[str, Floats],
    split: Split,
    seeds: int,
    predictors: Sequence[str],
    progress: Progress,
) -> pd.DataFrame:
    """A row for each predictor and device: means and standard deviations over the seeds, of which each draws the split anew.

    devices: name -> latencies (n,), nan where there is none; rows that lack one, or a number, are left out. With groups the
    guesses for all parts are judged together.
    Figures: see `scores`; cells without a path are not counted in relative errors (some devices skip them, in next to no
    time).

    Raises:
        JobError: a predictor or number is illegal.
    """
    for name in predictors:
        if name not in IN_DEVICE_PREDICTORS:
            raise JobError(f"--predictors: got {name!r}; legal: {', '.join(IN_DEVICE_PREDICTORS)}")
    whole = architectures.whole
    rows_of = {device: np.flatnonzero(np.isfinite(ms) & architectures.told) for device, ms in devices.items()}
    for device, known in rows_of.items():
        rows = len(known)
        if rows < FEWEST + (split.train if split.groups is None else FEWEST):
            raise JobError(
                f"--train: got {split.train}; legal: at most {rows - FEWEST}, for {device!r} has {rows} rows"
            )
    advance, done = progress.task("fit and predict", len(devices) * seeds * len(predictors)), 0
    found: list[dict[str, Any]] = []
    numbers = None if split.groups is None else np.unique(split.groups, return_inverse=True)[1]
    for device, ms in devices.items():
        known = rows_of[device]
        for seed in range(seeds):
            draws = list(split.draws(known, seed))
            for name in predictors:
                guesses = []
                for learnt, judged in draws:
                    predictor = IN_DEVICE_PREDICTORS[name](architectures.parts(learnt), seed)
                    predictor.fit(architectures.X[learnt], ms[learnt], None if numbers is None else numbers[learnt])
                    guesses.append((judged, *predictor.predict(architectures.X[judged])))
                judged, mean, std = (np.concatenate(part) for part in zip(*guesses, strict=True))
                facts = {"predictor": name, "target": device, "train": round(np.mean([len(rows) for rows, _ in draws]))}
                found.append({**facts, "seed": seed, **scores(mean, std, np.log(ms[judged]), whole[judged])})
                done += 1
                advance(done)
    return summary(pd.DataFrame(found), ["predictor", "target", "train"])
