"""How well the beginning of a training says where it ends: extrapolation beside the last value seen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import kendalltau

from nas.errors import JobError
from predictors.ceiling import COVERED
from predictors.learning_curves import FEWEST, extrapolate

Floats = NDArray[np.float64]
COLUMNS = ("curve", "epoch", "value")
DRAWS = 2000  # of the bootstrap over curves
TAIL = 3  # values seen whose mean is a control, as one value is noisy


def _extrapolated(epochs: Floats, values: Floats, final: float) -> tuple[float, float]:
    found = extrapolate(epochs, values, final)
    return found.mean, found.std


def _last(epochs: Floats, values: Floats, final: float) -> tuple[float, float]:
    return float(values[-1]), float("nan")


def _last_mean(epochs: Floats, values: Floats, final: float) -> tuple[float, float]:
    return float(values[-TAIL:].mean()), float("nan")


METHODS: dict[str, Callable[[Floats, Floats, float], tuple[float, float]]] = {
    "extrapolated": _extrapolated,
    "last-seen": _last,
    "mean-of-last-3": _last_mean,
}


def read_curves(path: Path) -> dict[str, tuple[Floats, Floats]]:
    """Name -> epochs (n,) and values (n,) of the curves in a CSV file (gzip too) with the columns `COLUMNS`, sorted by epoch.

    Raises:
        JobError: the file cannot be read, lacks a column, or a curve is broken.
    """
    try:
        table = pd.read_csv(path, dtype={"curve": str})
    except (OSError, ValueError) as error:
        raise JobError(f"{path}: cannot be read as CSV: {error}") from None
    if missing := [name for name in COLUMNS if name not in table.columns]:
        raise JobError(f"{path}: lacks column {missing[0]!r}; legal: columns {', '.join(COLUMNS)}, a row an epoch")
    found = {}
    for name, rows in table.groupby("curve", sort=False):
        try:
            epochs, values = (rows[column].to_numpy(dtype=np.float64) for column in COLUMNS[1:])
        except ValueError as error:
            raise JobError(f"{path}: curve {name}: {error}; legal: numbers") from None
        order = np.argsort(epochs, kind="stable")
        epochs, values = epochs[order], values[order]
        if not np.isfinite(values).all() or not (np.diff(epochs, prepend=0.0) > 0).all():
            raise JobError(f"{path}: curve {name}: legal: finite values at different positive epochs")
        found[str(name)] = epochs, values
    return found


def bench_learning_curves(curves: dict[str, tuple[Floats, Floats]], shares: Sequence[float]) -> pd.DataFrame:
    """A row for each share of the training and each of `METHODS`: how what it says of the end agrees with the last value.

    Columns share, epochs (the last one seen), predictor, curves; kendall with its 95 % bootstrap interval over curves
    kendall_low and kendall_high; better (the chance, over the same bootstrap, that it ranks better than the last value seen);
    error_mean and error_std (absolute, over curves); coverage_90 (nan without an interval).

    Raises:
        JobError: the curves are fewer than 5, do not end at one epoch, or a share leaves fewer than 3 values.
    """
    if len(curves) < 5:
        raise JobError(f"FILE: has {len(curves)} curves; legal: at least 5 to rank")
    ends = {float(epochs[-1]) for epochs, _ in curves.values()}
    if len(ends) > 1:
        raise JobError(f"FILE: its curves end at epochs {sorted(ends)}; legal: one last epoch for all")
    (final,) = ends
    true = np.array([values[-1] for _, values in curves.values()])
    times = np.random.default_rng(0).multinomial(len(true), np.full(len(true), 1 / len(true)), DRAWS).astype(np.float64)
    rows = []
    for share in shares:
        until = share * final
        seen = [int((epochs <= until + 1e-9).sum()) for epochs, _ in curves.values()]
        if min(seen) < FEWEST:
            raise JobError(f"--shares: {share} leaves {min(seen)} values of a curve; legal: shares that leave {FEWEST}")
        taus: dict[str, Floats] = {}
        here: list[dict[str, Any]] = []
        for name, method in METHODS.items():
            found = [method(e[:n], v[:n], final) for (e, v), n in zip(curves.values(), seen, strict=True)]
            mean, std = np.array(found).T
            taus[name] = resampled_kendall(mean, true, times)
            low, high = np.quantile(taus[name], [0.025, 0.975])
            error = np.abs(mean - true)
            row = {"share": share, "epochs": until, "predictor": name, "curves": len(true)}
            row |= {"kendall": float(kendalltau(mean, true)[0]), "kendall_low": float(low), "kendall_high": float(high)}
            row |= {"error_mean": float(error.mean()), "error_std": float(error.std())}
            row["coverage_90"] = float((error <= COVERED * std).mean()) if np.isfinite(std).all() else float("nan")
            here.append(row)
        for name, row in zip(taus, here, strict=True):
            gain = taus[name] - taus["last-seen"]
            row["better"] = float(((gain > 0) + 0.5 * (gain == 0)).mean())
        rows += here
    return pd.DataFrame(rows)


def resampled_kendall(a: Floats, b: Floats, times: Floats) -> Floats:
    """Kendall's tau-b (k,) of ``a`` and ``b`` (n,) where each of the n occurs ``times`` (k, n); 0 where one does not vary."""
    signs_a, signs_b = (np.sign(values[:, None] - values[None, :]) for values in (a, b))

    def pairs(signs: Floats) -> Floats:
        return np.asarray(((times @ signs) * times).sum(axis=1))

    untied = np.sqrt(pairs(np.abs(signs_a)) * pairs(np.abs(signs_b)))
    return np.asarray(pairs(signs_a * signs_b) / np.maximum(untied, 1e-300))
