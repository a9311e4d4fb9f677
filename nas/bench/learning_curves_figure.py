"""How well the beginning of a training says where it ends, over how much of it is seen: a picture."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from nas.errors import JobError

ASIDE = 0.008  # of the training, between the marks of two predictors: their bars would hide one another


def draw(frame: pd.DataFrame, path: Path) -> None:
    """The rows of `bench_learning_curves`, over the share of the training that is seen, a line a predictor: rank correlation
    with its 95 % bootstrap interval, and absolute error with its standard deviation over networks. JobError where matplotlib
    is not installed."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise JobError("--plot: needs matplotlib; legal: pip install matplotlib, or no --plot") from None
    figure = Figure(figsize=(9.0, 3.8), layout="constrained")
    ranks, errors = figure.subplots(1, 2)
    groups = list(frame.groupby("predictor", sort=False))
    for i, (predictor, part) in enumerate(groups):
        seen = part["share"] + ASIDE * (i - (len(groups) - 1) / 2)
        for axes, value, below, above in (
            (ranks, part["kendall"], part["kendall"] - part["kendall_low"], part["kendall_high"] - part["kendall"]),
            (errors, part["error_mean"], part["error_std"].clip(upper=part["error_mean"]), part["error_std"]),
        ):
            axes.errorbar(
                seen, value, [below.clip(lower=0), above.clip(lower=0)], marker="o", capsize=3, label=predictor
            )
    ranks.set(ylabel="Kendall's tau with the end (95 %)")
    errors.set(ylabel="error of the end (± std over networks)", ylim=(0, None))
    for axes in (ranks, errors):
        axes.set(xlabel="seen of the training", xticks=sorted(frame["share"].unique()))
        axes.xaxis.set_major_formatter("{x:.0%}")
        axes.grid(alpha=0.3)
    ranks.axhline(0, color="grey", linewidth=0.8)
    errors.legend(fontsize=8)
    networks = sorted(frame["curves"].unique())
    figure.suptitle(f"{' or '.join(map(str, networks))} networks, each trained alone", fontsize=10)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
