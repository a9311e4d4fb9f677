"""Claim under test: our zero-cost proxies are the published ones, and go along with accuracy."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import rankdata

from nas.errors import JobError
from nas.job import DataSection, Job
from nas.latency.query import read_architectures
from nas.progress import Progress
from nas.proxies.batches import DataBatch
from predictors.proxies import ProxyScores, RandomBatch
from search_spaces import get_space
from search_spaces.spaces.nas_bench_201 import EDGES, OPERATIONS

Floats = NDArray[np.float64]
IMAGES = ("normal", "fashion-mnist")
# NASLib's operations, in the order of its codes, and its edges
STORED_OPERATIONS = ("skip_connect", "none", "nor_conv_3x3", "nor_conv_1x1", "avg_pool_3x3")
STORED_EDGES = ((0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3))
# The table's "flops" are multiply-accumulates and, for each value of an edge, 3 for ReLU and batch norm around a convolution or
# 9 for a pooling; FRAME is the like in stem, down-samplings and head.
EDGE_VALUES = 5 * (16 * 32**2 + 32 * 16**2 + 64 * 8**2)
BESIDE = {"nor_conv_1x1": 3, "nor_conv_3x3": 3, "avg_pool_3x3": 9}
FRAME = 160_832


def bench_cells(
    table: Path, names: Sequence[str], cells: int, seed: int, images: str, workers: int, progress: Progress
) -> tuple[list[dict[str, Any]], pd.DataFrame]:
    """Proxies of NAS-Bench-201 cells by our code, beside those that a table of NAS-Bench-Suite-Zero stores.

    ``cells`` of its CIFAR-10 rows are drawn. 16 channels, 5 cells a stage, 10 classes; 32 images of 32 pixels.

    Args:
        table: columns task, idx, arch (NASLib's codes), val_accuracy and the stored proxies.
        images: ``normal`` (random numbers and classes) or ``fashion-mnist`` (grey in all three channels).

    Returns:
        A row for each proxy: see `correlations`; and all values, a row a cell.

    Raises:
        JobError: a column or argument is illegal; PredictorError: a proxy is.
    """
    if images not in IMAGES:
        raise JobError(f"--images: got {images!r}; legal: {', '.join(IMAGES)}")
    batch = RandomBatch(seed=seed) if images == "normal" else DataBatch(DataSection(name="fashion-mnist"), seed=seed)
    score = ProxyScores(get_space("nas-bench-201/cifar10"), names, seed, batch, workers)
    stored = _read(table)
    if not 4 <= cells <= len(stored):
        raise JobError(f"--cells: got {cells}; legal: 4 to {len(stored)}, the rows of the table")
    drawn = np.sort(np.random.default_rng([seed, 20]).permutation(len(stored))[:cells])
    stored = stored.iloc[drawn].reset_index(drop=True)
    codes = codes_of(stored["arch"])
    ours = score(codes, progress.task("score cells", cells))
    ours["flops"] = flops(codes, ours["macs"]) if "macs" in ours else np.nan
    rows = correlations(ours, stored["val_accuracy"], stored, score.names)
    kept = ["idx", "arch", "val_accuracy", *(_column(n) for n in score.names if _column(n) in stored)]
    return rows, ours.join(stored[kept].rename(columns=lambda n: n if n in kept[:3] else f"{n}_stored"))


def bench_networks(
    ranks: Path, architectures: Path, job: Job, names: Sequence[str], seed: int, workers: int, progress: Progress
) -> tuple[list[dict[str, Any]], pd.DataFrame]:
    """Proxies of architectures that were trained alone, on the job's training data.

    Args:
        ranks: columns hash and standalone_accuracy, as `nas bench ranks` writes them.
        architectures: JSON list of these architectures, all of one space.
        job: says which data they were trained on.

    Returns:
        A row for each proxy: see `correlations`; and all values, a row an architecture.

    Raises:
        JobError: a file cannot be read, or an architecture is missing.
    """
    accuracy = _csv(ranks, "--ranks", ("hash", "standalone_accuracy"))[["hash", "standalone_accuracy"]]
    known = {architecture.hash: architecture for architecture in read_architectures(architectures)}
    for name in accuracy["hash"]:
        if name not in known:
            raise JobError(f"--architectures: {architectures} lacks {name}; legal: all that {ranks} names")
    chosen = [known[name] for name in accuracy["hash"]]
    space = chosen[0].space
    if any(architecture.space.definition != space.definition for architecture in chosen):
        raise JobError(f"--architectures: {architectures} holds several spaces; legal: one")
    score = ProxyScores(space, names, seed, DataBatch(job.data, seed=seed), workers)
    ours = score(space.matrix(chosen), progress.task("score networks", len(chosen)))
    return correlations(ours, accuracy["standalone_accuracy"], None, score.names), accuracy.join(ours)


def correlations(
    ours: pd.DataFrame, accuracy: pd.Series, stored: pd.DataFrame | None, names: Sequence[str]
) -> list[dict[str, Any]]:
    """A row for each proxy.

    networks: with a finite value; undefined: the others. accuracy: Spearman's correlation with it, and low and high of its
    95 % bootstrap interval over networks. seconds: median of a network. Where a table stores the proxy, stored:
    Spearman's correlation with its column, with an interval; stored_accuracy: of that column with accuracy; and for
    params and MACs equal: the share that is.
    """
    rows = []
    for name in names:
        mine = ours[name].to_numpy(np.float64)
        known = np.isfinite(mine)
        row: dict[str, Any] = {"proxy": name, "networks": int(known.sum()), "undefined": int((~known).sum())}
        row |= _spearman("accuracy", mine[known], accuracy.to_numpy(np.float64)[known])
        if stored is not None and _column(name) in stored:
            theirs = stored[_column(name)].to_numpy(np.float64)
            both = known & np.isfinite(theirs)
            row |= _spearman("stored", mine[both], theirs[both])
            row["stored_accuracy"] = float(_rank(theirs[both], accuracy.to_numpy(np.float64)[both]))
            if name in ("params", "macs"):
                exact = ours[_column(name)].to_numpy(np.float64)
                row["equal"] = float(np.isclose(exact / 1e6, theirs, rtol=1.2e-7, atol=0).mean())  # stored in float32
        rows.append({**row, "seconds": float(ours[f"{name}_seconds"].median())})
    return rows


def codes_of(texts: pd.Series) -> NDArray[np.int64]:
    """``(n, 6)`` genes of NASLib's texts, e.g. ``"(3, 4, 4, 4, 2, 1)"``.

    Raises:
        JobError: a text is none of them.
    """
    codes = [[int(digit) for digit in re.findall(r"\d+", str(text))] for text in texts]
    for text, code in zip(texts, codes, strict=True):
        if len(code) != len(STORED_EDGES) or max(code) >= len(STORED_OPERATIONS):
            raise JobError(f"--table: column 'arch': got {text!r}; legal: six codes from 0 to 4 in brackets")
    order = [STORED_EDGES.index(edge) for edge in EDGES]
    return np.array([OPERATIONS.index(name) for name in STORED_OPERATIONS])[np.array(codes)[:, order]]


def flops(codes: NDArray[np.int64], macs: pd.Series) -> Floats:
    """``(n,)`` what the table calls flops: the MACs and what it counts beside them."""
    beside = np.array([BESIDE.get(name, 0) for name in OPERATIONS])[codes].sum(axis=1) * EDGE_VALUES
    return np.asarray(macs.to_numpy(np.float64) + beside + FRAME)


def _column(name: str) -> str:
    return "flops" if name == "macs" else name


def _read(path: Path) -> pd.DataFrame:
    frame = _csv(path, "--table", ("task", "idx", "arch", "val_accuracy"))
    # it marks what could not be computed by -1e8
    return frame[frame["task"] == "cifar10"].replace(-1e8, np.nan).astype({"idx": int})


def _csv(path: Path, option: str, columns: Sequence[str]) -> pd.DataFrame:
    try:
        frame = pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise JobError(f"{option}: {path} cannot be read as CSV: {error}") from None
    for column in columns:
        if column not in frame:
            raise JobError(f"{option}: {path} has no column {column!r}; legal: a CSV file with {', '.join(columns)}")
    return frame


def _rank(x: Floats, y: Floats) -> Floats:
    """Spearman's correlation of each row of ``(..., n)``; nan where all are equal."""
    ranks = [rankdata(values, axis=-1) for values in (x, y)]
    a, b = (values - values.mean(axis=-1, keepdims=True) for values in ranks)
    with np.errstate(invalid="ignore"):
        return np.asarray((a * b).sum(axis=-1) / np.sqrt((a * a).sum(axis=-1) * (b * b).sum(axis=-1)))


def _spearman(name: str, x: Floats, y: Floats, draws: int = 1000) -> dict[str, float]:
    if not len(x):
        return {name: float("nan"), f"{name}_low": float("nan"), f"{name}_high": float("nan")}
    samples = np.random.default_rng(0).integers(len(x), size=(draws, len(x)))
    low, high = np.nanquantile(_rank(x[samples], y[samples]), [0.025, 0.975])
    return {name: float(_rank(x, y)), f"{name}_low": float(low), f"{name}_high": float(high)}
