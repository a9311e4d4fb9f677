"""Plots of how it was found: hypervolume over evaluations, latency predicted against measured, training."""

from __future__ import annotations

from html import escape

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from nas.metric import ACCURACY, Metric
from nas.report import style
from nas.report.contents import DeviceReport
from nas.report.findings import controls_title, latency_error
from nas.report.words import known, plural, search_label

ROLES = {"largest": ("#0072B2", "solid"), "random": ("#8A8F98", "dot"), "smallest": ("#D55E00", "dash")}


def hypervolume_figure(device: DeviceReport, search: str) -> go.Figure:
    """Hypervolume against the number of evaluations: the mean over seeds, and the range over seeds as a band."""
    plot = style.figure(escape(controls_title(device, search)), "architectures evaluated", "hypervolume", 480)
    for key, rows in device.hypervolumes.groupby("search", sort=False):
        name = str(key)
        colour, label = style.search_colour(name), escape(search_label(name, search))
        curve = rows.groupby("evaluations")["hypervolume"].agg(["mean", "min", "max", "size"]).reset_index()
        if rows["seed"].nunique() > 1:
            around = pd.concat([curve["evaluations"], curve["evaluations"][::-1]])
            plot.add_scatter(
                x=around,
                y=pd.concat([curve["max"], curve["min"][::-1]]),
                fill="toself",
                fillcolor=style.faded(colour, 0.12),
                line={"width": 0},
                mode="lines",
                hoverinfo="skip",
                showlegend=False,
                legendgroup=name,
            )
        plot.add_scatter(
            x=curve["evaluations"],
            y=curve["mean"],
            mode="lines",
            name=f"{label}, {plural(rows['seed'].nunique(), 'seed')}",
            legendgroup=name,
            line={"color": colour, "dash": style.search_dash(name), "width": 3 if name == search else 2},
            hovertemplate="%{y:.4g} after %{x} evaluations<extra>" + label + "</extra>",
        )
    late = device.hypervolumes[device.hypervolumes["evaluations"] >= device.hypervolumes["evaluations"].max() / 8]
    if len(late):  # the first few architectures would flatten everything after them
        low, high = late["hypervolume"].min(), late["hypervolume"].max()
        pad = 0.05 * (high - low) or 0.05 * abs(high) or 1.0
        plot.update_yaxes(range=[low - pad, high + pad])
    plot.update_xaxes(rangemode="tozero")
    return plot


def validation_figure(device: DeviceReport) -> go.Figure:
    """Predicted against measured latency of the whole networks that the table never saw."""
    rows = device.validation.dropna(subset=["predicted_ms", "measured_ms"])
    error = latency_error(device)
    title = f"Predicted latency is {error}" if error else "The latency table was not validated"
    plot = style.figure(f"{escape(device.name)}: {title}", "measured (ms)", "predicted (ms)", 480)
    if len(rows):
        values = pd.concat([rows["predicted_ms"], rows["measured_ms"]])
        ends = [0.95 * values.min(), 1.05 * values.max()]
        for slope, name, dash in (
            (1.0, "predicted = measured", "solid"),
            (1.1, "10 % off", "dash"),
            (0.9, "10 % off", "dash"),
        ):
            plot.add_scatter(
                x=ends,
                y=[slope * end for end in ends],
                mode="lines",
                name=name,
                showlegend=slope != 0.9,
                legendgroup=name,
                hoverinfo="skip",
                line={"color": "#8A8F98", "dash": dash, "width": 1.5},
            )
    plot.add_scatter(
        x=rows["measured_ms"],
        y=rows["predicted_ms"],
        mode="markers",
        name=f"{plural(len(rows), 'network')} never seen, 90 % interval",
        marker={"size": 8, "color": "#0072B2", "opacity": 0.8},
        error_y={
            "type": "data",
            "symmetric": False,
            "array": (rows["high_ms"] - rows["predicted_ms"]).clip(lower=0).fillna(0),
            "arrayminus": (rows["predicted_ms"] - rows["low_ms"]).clip(lower=0).fillna(0),
            "color": style.faded("#0072B2", 0.35),
            "thickness": 1.2,
            "width": 0,
        },
        hovertemplate="measured %{x:.3g} ms, predicted %{y:.3g} ms<extra></extra>",
    )
    return plot


def training_title(training: pd.DataFrame, metric: Metric = ACCURACY) -> str:
    """Where the subnets of each role ended, on training batches."""
    ends = []
    for role in ("largest", "smallest"):
        column = f"{role}_{metric.name}"
        if column in training and len(values := training[column].dropna()) and known(float(values.iloc[-1])):
            ends.append(f"the {role} subnet at {metric.text(float(values.iloc[-1]))}")
    what = "" if metric == ACCURACY else f" {metric.title}"
    return f"Training ends with {' and '.join(ends)}{what} on its own batches" if ends else "Training of the supernet"


def training_figure(training: pd.DataFrame, quality: Metric = ACCURACY) -> go.Figure:
    """Loss and metric over epochs, by the role of the subnet in the step."""
    plot = make_subplots(cols=2, horizontal_spacing=0.1, column_titles=["loss", f"{quality.title} on training batches"])
    for column, metric in enumerate(("loss", quality.name), 1):
        for role, (colour, dash) in ROLES.items():
            name = f"{role}_{metric}"
            if name not in training or training[name].isna().all():
                continue
            plot.add_scatter(
                x=training["epoch"],
                y=training[name],
                mode="lines",
                name=f"{role} subnet" if role != "random" else "random subnets",
                legendgroup=role,
                showlegend=column == 1,
                line={"color": colour, "dash": dash, "width": 2},
                hovertemplate="epoch %{x:.2f}: "
                + ("%{y:.3f}" if column == 1 else f"%{{y:{quality.ticks}}}")
                + "<extra></extra>",
                row=1,
                col=column,
            )
    plot.update_layout(
        template=style.TEMPLATE, title_text=training_title(training, quality), height=420, margin={"t": 92}
    )
    plot.update_xaxes(title_text="epoch")
    plot.update_yaxes(tickformat=".0%" if quality == ACCURACY else ".2f", row=1, col=2)
    return plot
