"""What carries the score, shown: the choices with the largest and the smallest gain, and what each takes on the device."""

from __future__ import annotations

from html import escape
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray
from plotly.subplots import make_subplots

from nas.importance.study import Importance, ends
from nas.report import style
from nas.report.markup import plot
from nas.report.words import ms_change, plural

SHOWN = 10  # choices of each end
GAIN = ["importance", "low", "high"]
SURE, UNSURE = style.MAIN, "#A9B4C4"
SURELY, PERHAPS = "surely not 0", "may be 0"


def importance_html(found: Importance | str, quality: str, device: str, name: str) -> str:
    """The plot and whether it can be believed; or why there is none. ``quality``: title of the metric; ``name``: of the plot's
    element."""
    if isinstance(found, str):
        return f"<p>What carries {escape(quality)} is not told: {escape(found)}.</p>"
    caption = (
        "What a choice brings with all that it activates, beyond the mean of its gene, on average over the space; bars are "
        "90 % intervals, those of latency as if all that the predictor may be off were owed to single choices. In brackets: "
        "the evaluations that have the choice. A * stands for every stage and layer."
    )
    if len(found.choices) > 2 * SHOWN:
        caption += f" At the dotted line {plural(len(found.choices) - 2 * SHOWN, 'choice')} are left out."
    return (
        plot(importance_figure(found, device), name, caption)
        + f"<p>{escape(found.verdict)}.</p>"
        + '<p class="soft"><code>nas importance RUN</code> lists every choice and which pairs of operators carry more '
        "together; with <code>--shrink</code> it writes the job again without what is surely worse and surely no faster.</p>"
    )


def importance_title(found: Importance, device: str) -> str:
    """How many choices surely carry or cost the metric, and which carries most; or that it cannot be told."""
    title = found.metric.title
    if not found.held_out.tells:
        return f"{device}: {plural(found.evaluations, 'evaluation')} are too few to tell what carries {title}"
    best, sure = found.choices.iloc[0], int(_sure(found.choices, GAIN).sum())
    return (
        f"{device}: {sure or 'none'} of {plural(len(found.choices), 'choice')} surely carry or cost {title}; "
        f"{best['gene']} = {best['value']} carries most ({found.amount(best['importance'])}, "
        f"{ms_change(*best[_latency(device)])} ms)"
    )


def importance_figure(found: Importance, device: str) -> go.Figure:
    """Gains of the choices at either end with their intervals, and beside each what it takes on the device."""
    shown = ends(found.choices, SHOWN)
    rows: list[dict[Any, Any]] = shown.to_dict("records")
    labels = [f"{escape(str(row['gene']))} = {escape(str(row['value']))} ({row['seen']})" for row in rows]
    gains = [
        f"{found.amount(row['importance'])} ({found.amount(row['low'])} to {found.amount(row['high'])})" for row in rows
    ]
    changes = [f"{ms_change(*(row[column] for column in _latency(device)))} ms" for row in rows]
    made = make_subplots(cols=2, shared_yaxes=True, horizontal_spacing=0.03)
    for panel, (columns, texts) in enumerate(((GAIN, gains), (_latency(device), changes)), 1):
        value, low, high = shown[columns].to_numpy(np.float64).T
        sure = _sure(shown, columns)
        for name, at, colour in ((SURELY, np.flatnonzero(sure), SURE), (PERHAPS, np.flatnonzero(~sure), UNSURE)):
            made.add_scatter(
                x=_short(value[at]),
                y=[labels[i] for i in at],
                mode="markers",
                name=name,
                legendgroup=name,
                showlegend=panel == 1,
                marker={"color": colour, "size": 8},
                error_x={
                    "array": _short(np.nan_to_num(high - low)[at] / 2),
                    "color": colour,
                    "thickness": 1.5,
                    "width": 0,
                },
                text=[texts[i] for i in at],
                hovertemplate="%{y}<br>%{text}<extra></extra>",
                row=1,
                col=panel,
            )
    made.update_layout(
        template=style.TEMPLATE, title_text=escape(importance_title(found, device)), height=170 + 24 * len(rows),
        legend={"y": -70 / (24 * len(rows))}, margin={"t": 64, "b": 90},
    )  # fmt: skip
    made.update_xaxes(zeroline=True, zerolinecolor="#9AA0A6")
    made.update_xaxes(title_text=f"gain in {found.metric.title}", tickformat=f"+{found.metric.ticks}", col=1)
    made.update_xaxes(title_text=f"change of latency on {escape(device)} (ms)", tickformat="+~g", col=2)
    made.update_yaxes(categoryorder="array", categoryarray=labels[::-1], ticks="", ticklabelstandoff=6)
    if len(found.choices) > len(rows):
        made.add_hline(y=SHOWN - 0.5, line={"dash": "dot", "color": "#9AA0A6", "width": 2})
    return made


def _latency(device: str) -> list[str]:
    """Columns of what a choice takes on a device, with the ends of its interval."""
    return [f"{end}ms_{device}" for end in ("", "low_", "high_")]


def _sure(choices: pd.DataFrame, columns: list[str]) -> NDArray[np.bool_]:
    """(n,) whether the interval of a value, low and high does not hold 0."""
    _, low, high = choices[columns].to_numpy(np.float64).T
    return (low > 0) | (high < 0)


def _short(values: NDArray[np.float64]) -> list[float]:
    """Four digits: what can be seen, and a smaller page."""
    return [float(f"{value:.4g}") for value in values]
