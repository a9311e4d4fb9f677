"""A still picture of the fronts, for a README or a folder of results."""

from __future__ import annotations

import os
from pathlib import Path

from nas.errors import JobError
from nas.report.contents import Report
from nas.report.style import DEVICE_COLOURS, MAIN
from nas.report.words import listed, ms

_MARKS = "osD^P*hX"


def front_png(report: Report, path: str | Path) -> Path:
    """Draws the fronts of all devices to ``path`` (PNG, written atomically) and returns it.

    Lines join the qualities on the search split at the predicted latencies with their 90 % intervals; open marks are those
    on the test split with their 95 % intervals at the re-measured latencies; dotted lines are soft goals.

    Raises:
        JobError: matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
        from matplotlib.ticker import LogLocator, NullFormatter
    except ImportError as error:
        raise JobError('picture: needs matplotlib; install it with: pip install "hybrid-nas[dev]"') from error
    figure = Figure(figsize=(8.5, 5.2), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    metric, scale = report.metric, report.metric.scale
    for i, device in enumerate(report.devices):
        front, colour, mark = device.members, DEVICE_COLOURS[i % len(DEVICE_COLOURS)], _MARKS[i % len(_MARKS)]
        x, y = front["latency_ms"], front[device.quality]
        spread = [
            (x - front["latency_low_ms"]).clip(lower=0).fillna(0),
            (front["latency_high_ms"] - x).clip(lower=0).fillna(0),
        ]
        axes.step(x, scale * y, where="post", color=colour, linewidth=1.8)
        axes.errorbar(
            x, scale * y, xerr=spread, fmt=mark, color=colour, markersize=6, elinewidth=1, alpha=0.9, label=device.name
        )
        if (goal := device.goal_latency_ms) is not None:
            axes.axvline(goal, color=colour, linestyle=":", linewidth=1.5, label=f"{device.name}: goal {ms(goal)} ms")
        tested = front.dropna(subset=[device.test_quality])
        if len(tested):
            at, value = tested["measured_ms"].fillna(tested["latency_ms"]), tested[device.test_quality]
            around = [
                scale * (value - tested["test_low"]).clip(lower=0),
                scale * (tested["test_high"] - value).clip(lower=0),
            ]
            axes.errorbar(
                at, scale * value, yerr=[a.fillna(0) for a in around], fmt=mark, color=colour, markerfacecolor="white",
                markersize=7, elinewidth=1, label=f"{device.name}: test split, re-measured",
            )  # fmt: skip
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))  # more labels would run into each other
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("latency of a call (ms)", color=MAIN)
    axes.set_ylabel(f"{metric.title} ({metric.unit.strip()})" if metric.unit else metric.title, color=MAIN)
    axes.grid(color="#E8EAED", which="both")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    devices = listed([device.name for device in report.devices])
    axes.set_title(f"{report.job.name}: one supernet, Pareto fronts for {devices}", loc="left", color=MAIN, fontsize=11)
    axes.legend(frameon=False, loc="lower right" if metric.higher else "upper right", fontsize=9)
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        # without a date and a version in the file, equal fronts give equal files
        figure.savefig(temporary, format="png", dpi=150, metadata={"Software": None})
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)
    return target
