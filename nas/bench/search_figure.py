"""What searchers found, over what they asked: a picture."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from nas.errors import JobError


def draw(frame: pd.DataFrame, path: Path) -> None:
    """The rows of `bench_search`: with one objective what is reported, with more the missing share of the hypervolume, over
    the budget, a line a searcher with its 95 % confidence interval of the mean. JobError where matplotlib is not installed."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise JobError("--plot: needs matplotlib; legal: pip install matplotlib, or no --plot") from None
    shares = "missing_hypervolume_mean" in frame.columns
    name = "missing_hypervolume" if shares else "report"
    figure = Figure(figsize=(6.4, 4.2), layout="constrained")
    axes = figure.subplots()
    for searcher, part in frame.groupby("searcher", sort=False):
        wide = 1.96 * part[f"{name}_std"] / part["seeds"] ** 0.5
        low, high = part[f"{name}_mean"] - wide, part[f"{name}_mean"] + wide
        (line,) = axes.plot(part["budget"], part[f"{name}_mean"], marker="o", label=str(searcher))
        axes.fill_between(
            part["budget"], low.clip(lower=1e-6) if shares else low, high, alpha=0.2, color=line.get_color()
        )
    axes.set(xlabel="queries", ylabel="missing share of the hypervolume" if shares else "reported, of the best told")
    if shares:
        axes.set_yscale("log")
    axes.set_xticks(sorted(frame["budget"].unique()))
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
