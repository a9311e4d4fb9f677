"""Latency with a runtime whose table is taken away, from a few of its whole networks and the tables of the others."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hardware.table import LatencyTable
from nas.errors import JobError
from nas.files import write_atomically
from nas.latency.known import unknown_operators
from nas.progress import Progress
from predictors import LatencyPrediction, LatencyPredictor
from predictors.baselines import LinearTransfer, ProxyTransfer
from predictors.calibrated import REFERENCE, CalibratedPredictor, from_logs
from predictors.latency import errors_of
from search_spaces import Architecture, SearchSpace, cost, make_space

Floats = NDArray[np.float64]
Rows = NDArray[np.int16]
FIGURES = ("spearman", "kendall", "mape", "within_10", "coverage_90")
CALIBRATED = "calibrated"
TICKS = (1, 2, 5, 10, 20, 50, 100)  # of the picture, %


def bench_calibration(
    tables: Mapping[str, LatencyTable], samples: Sequence[int], seeds: int, progress: Progress
) -> pd.DataFrame:
    """A row for each target, method, number of networks, and whether they were chosen: means and standard deviations over
    the seeds of spearman, kendall, mape, within_10 and coverage_90.

    Every table in turn is the target: of its "fit" networks some are measured (random ones, anew for each seed, or those that
    the predictor chooses), and its "validate" networks are judged. The known devices are the other tables that know all its
    operators. Methods: ``calibrated`` (`CalibratedPredictor`); ``proxy``, a line through the known device that ranks the
    samples best; ``linear``, a line through all; ``MACs``, a line through the logarithm of MACs; ``own table``, the target's
    own, which had all its "fit" networks and its operators: what the few are measured against.

    Raises:
        JobError: there are fewer than two tables, or a target has no known device or too few networks.
    """
    if len(tables) < 2:
        raise JobError(f"TABLE: got {len(tables)}; legal: two or more, each of them the target once")
    for name, table in tables.items():
        fit = int((table.networks["role"] == "fit").sum()) if len(table.networks) else 0
        if table.header["space"] is None or fit < max(samples) or fit == len(table.networks):
            raise JobError(f"{name}: has {fit} fit networks; legal: at least {max(samples)}, and some that validate")
    found: list[dict[str, Any]] = []
    advance = progress.task("calibrate", len(tables))
    for number, (name, table) in enumerate(tables.items()):
        space = make_space(table.header["space"])
        others = {n: t for n, t in tables.items() if n != name and not unknown_operators(space, t)}
        if not others:
            raise JobError(f"{name}: no other table knows all its operators; legal: tables of one space")
        found += _target(name, table, space, others, samples, seeds)
        advance(number + 1, name)
    frame = pd.DataFrame(found)
    keys = ["target", "method", "samples", "chosen"]
    grouped = frame.groupby(keys, sort=False)[list(FIGURES)]
    means, spreads = grouped.mean(), grouped.std(ddof=0)
    columns = {f"{f}_{kind}": part[f] for f in FIGURES for kind, part in (("mean", means), ("std", spreads))}
    return pd.DataFrame({**columns, "seeds": grouped.size()}).reset_index()


def _target(
    name: str,
    table: LatencyTable,
    space: SearchSpace,
    others: Mapping[str, LatencyTable],
    samples: Sequence[int],
    seeds: int,
) -> list[dict[str, Any]]:
    (fit, ms), (judged, true) = _networks(space, table, "fit"), _networks(space, table, "validate")
    own = LatencyPredictor(space, table)
    calibrated = CalibratedPredictor(space, list(others.values()))
    reference = space.sample(REFERENCE, np.random.default_rng(0))
    methods: dict[str, Callable[[Rows, Floats], LatencyPrediction]] = {
        CALIBRATED: lambda rows, ms: calibrated.fit(rows, ms).predict(judged),
        "proxy": lambda rows, ms: from_logs(*ProxyTransfer(calibrated.sources).fit(rows, ms).predict(judged)),
        "linear": lambda rows, ms: from_logs(
            *LinearTransfer(calibrated.sources, reference).fit(rows, ms).predict(judged)
        ),
        "MACs": lambda rows, ms: _macs_line(space, rows, ms, judged),
    }
    found = [
        {"target": name, "method": "own table", "samples": len(fit), "chosen": False}
        | errors_of(own.predict(judged), true)
    ]
    for count in samples:
        draws = [(False, np.random.default_rng([seed, count]).permutation(len(fit))[:count]) for seed in range(seeds)]
        for chosen, rows in [*draws, (True, calibrated.choose(fit, count))]:
            for method, predicted in methods.items():
                facts = {"target": name, "method": method, "samples": count, "chosen": chosen}
                found.append(facts | errors_of(predicted(fit[rows], ms[rows]), true))
    return found


def _networks(space: SearchSpace, table: LatencyTable, role: str) -> tuple[Rows, Floats]:
    rows = table.networks[table.networks["role"] == role]
    return space.matrix(Architecture.from_lines(rows["key"])), rows["median_ms"].to_numpy(np.float64)


def _macs_line(space: SearchSpace, rows: Rows, ms: Floats, judged: Rows) -> LatencyPrediction:
    macs = space.additive(lambda spec: float(cost(spec).macs))
    x, y = np.log(macs.score(rows)), np.log(ms)
    slope, intercept = np.polyfit(x, y, 1)
    left = float(np.std(y - intercept - slope * x, ddof=1)) + 1e-6
    mean = intercept + slope * np.log(macs.score(judged))
    return from_logs(mean, np.full(len(mean), left))


def write_calibration(frame: pd.DataFrame, out: Path) -> None:
    """``calibration.csv`` and ``calibration.png`` in the folder ``out``."""
    write_atomically(out / "calibration.csv", frame.round(4).to_csv(index=False).encode())
    draw(frame, out / "calibration.png")


def draw(frame: pd.DataFrame, path: Path) -> None:
    """Mean relative error over the number of networks measured, a panel a target: every method, with its spread."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise JobError("--out: the picture needs matplotlib; legal: pip install matplotlib, or no --out") from None
    targets = list(dict.fromkeys(frame["target"]))
    counts = sorted(frame["samples"][frame["method"] != "own table"].unique())
    figure = Figure(figsize=(4 * min(3, len(targets)), 3.2 * -(-len(targets) // 3)), layout="constrained")
    axes = np.atleast_1d(figure.subplots(-(-len(targets) // 3), min(3, len(targets)), sharex=True)).ravel()
    for ax, target in zip(axes, targets, strict=False):
        part = frame[(frame["target"] == target) & (frame["method"] != "own table")]
        for (method, chosen), rows in part.groupby(["method", "chosen"], sort=False):
            if chosen and method != CALIBRATED:
                continue  # the others choose nothing
            label = f"{method}, chosen networks" if chosen else str(method)
            style = {"marker": "o", "linewidth": 2.2 if method == CALIBRATED else 1.0, "capsize": 2}
            error = None if chosen else 100 * rows["mape_std"]
            ax.errorbar(rows["samples"], 100 * rows["mape_mean"], error, label=label, **style)
        table = frame[(frame["target"] == target) & (frame["method"] == "own table")]
        ax.axhline(100 * table["mape_mean"].iloc[0], color="black", linestyle=":", label="own table")
        ax.set(title=target, xscale="log", yscale="log", xlabel="networks measured", ylabel="mean error, %")
        ax.set_xticks(counts, [str(count) for count in counts])
        ax.set_yticks(TICKS, [str(tick) for tick in TICKS])
        ax.minorticks_off()
    for ax in axes[len(targets) :]:
        ax.set_axis_off()
    axes[-1].legend(*axes[0].get_legend_handles_labels(), fontsize=8)  # in the panel that is left over, if one is
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
