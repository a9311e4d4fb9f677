"""Plots of what was found: the Pareto front of a device, and the fronts of all devices."""

from __future__ import annotations

from html import escape

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from nas.metric import ACCURACY
from nas.report import style
from nas.report.contents import DeviceReport
from nas.report.findings import front_range
from nas.report.goal import standing
from nas.report.separation import unseparated
from nas.report.tables import input_size, layers, wilson
from nas.report.words import count, listed, ms, ms_interval, quality, quality_interval, search_label


def hover_text(member: pd.Series, device: DeviceReport) -> str:
    """What a front member is, line by line: hash, quality, latency, cost, and the operator of every layer."""
    metric = device.metric
    tested = quality_interval(member[device.test_quality], member["test_low"], member["test_high"], metric)
    lines = [
        f"<b>{escape(str(member['hash']))}</b>{' (knee)' if member['knee'] else ''}",
        f"search {metric.title} {quality(member[device.quality], metric)}",
        f"test {metric.title} {tested}",
        f"predicted {ms_interval(member['latency_ms'], member['latency_low_ms'], member['latency_high_ms'])} ms",
        *([f"against the goal {standing(member, goal)}"] if (goal := device.goal_latency_ms) is not None else []),
        f"re-measured {ms_interval(member['measured_ms'], member['measured_low_ms'], member['measured_high_ms'])} ms",
        f"{count(member['macs'])} MACs, {count(member['parameters'])} parameters, input {input_size(member)[0]}",
    ]
    lines += [
        f"stage {at.stage}.{at.layer}: {escape(at.mixer)} {escape(at.sizes)}" for at in layers(str(member["genes"]))
    ]
    return "<br>".join(lines)


def _bars(value: pd.Series, low: pd.Series, high: pd.Series, colour: str, alpha: float = 0.45) -> dict:
    """Uneven error bars that end at ``low`` and ``high``; none where they are not known."""
    return {
        "type": "data",
        "symmetric": False,
        "array": (high - value).clip(lower=0).fillna(0),
        "arrayminus": (value - low).clip(lower=0).fillna(0),
        "color": style.faded(colour, alpha),
        "thickness": 1.2,
        "width": 0,
    }


def _window(device: DeviceReport, lowest: float, highest: float) -> tuple[list[float], list[float]]:
    """Latency and quality ranges around the front: the cloud's worst quarter is reached by zooming out.

    ``lowest`` and ``highest`` are the ends of the front's error bars of quality.
    """
    front, cloud, metric = device.members, device.evaluations, device.metric
    ms_values = front[
        ["latency_low_ms", "latency_high_ms", "latency_ms", "measured_low_ms", "measured_high_ms", "measured_ms"]
    ]
    shown = front[[device.quality, "test_low", "test_high"]].to_numpy(dtype=np.float64)
    right, left = np.nanmax(ms_values.to_numpy(dtype=np.float64)), np.nanmin(ms_values.to_numpy(dtype=np.float64))
    low, high = min(np.nanmin(shown), lowest), max(np.nanmax(shown), highest)
    if len(cloud):
        right, left = max(right, cloud["latency_ms"].quantile(0.9)), min(left, cloud["latency_ms"].min())
        seen = cloud[device.quality]
        bounds = (seen.quantile(0.25), seen.max()) if metric.higher else (seen.min(), seen.quantile(0.75))
        low, high = min(low, bounds[0]), max(high, bounds[1])
    pad_ms, pad = 0.05 * max(right - left, 0.1 * right), 0.06 * max(high - low, 0.01)
    return [max(left - pad_ms, 0), right + pad_ms], [
        max(low - pad, 0),
        min(high + pad, 1.003) if metric == ACCURACY else high + pad,
    ]


def front_figure(device: DeviceReport, search: str, search_images: int | None = None) -> go.Figure:
    """The Pareto front over everything that was evaluated.

    Args:
        device: what was found.
        search: name of the search under test in ``device.evaluations``.
        search_images: images behind one inherited accuracy, for its 95 % error bars; None draws none.
    """
    plot = style.figure(
        f"{escape(device.name)}: {front_range(device)}",
        f"latency of a call on {escape(device.name)} (ms)",
        device.metric.title,
        540,
    )
    for name, cloud in device.evaluations.groupby("search", sort=False):
        plot.add_scatter(
            x=cloud["latency_ms"],
            y=cloud[device.quality],
            mode="markers",
            name=f"evaluated: {search_label(str(name), search)}",
            marker={
                "size": 6,
                "opacity": 0.45,
                "color": style.search_colour(str(name)),
                "symbol": style.search_mark(str(name)),
                "line": {"width": 1 if name == "random" else 0, "color": style.search_colour(str(name))},
            },
            text=cloud["hash"].astype(str).map(escape),
            hovertemplate=f"%{{text}}<br>%{{x:.3g}} ms, %{{y:{device.metric.ticks}}}<extra>"
            + escape(str(name))
            + "</extra>",
        )
    if device.designs is not None and len(device.designs):
        plot.add_scatter(
            x=device.designs["latency_ms"],
            y=device.designs[device.quality],
            mode="markers",
            name="known designs, nearest in this space",
            marker={"size": 11, "symbol": "star", "color": style.MAIN, "opacity": 0.85},
            text=device.designs["design"].map(escape),
            hovertemplate=f"<b>%{{text}}</b><br>%{{x:.3g}} ms, %{{y:{device.metric.ticks}}}<extra></extra>",
        )
    _unseparated(plot, device, search, search_images)
    front = device.members
    texts = [hover_text(member, device) for _, member in front.iterrows()]
    spans = [wilson(a * search_images, search_images) if search_images else (a, a) for a in front[device.quality]]
    low, high = (pd.Series([span[side] for span in spans]) for side in (0, 1))
    plot.add_scatter(
        x=front["latency_ms"],
        y=front[device.quality],
        mode="lines+markers",
        name=f"Pareto front, predicted latency, search {device.metric.title}",
        line={"color": style.MAIN, "width": 2, "shape": "hv"},
        marker={"size": 9, "color": style.MAIN},
        error_x=_bars(front["latency_ms"], front["latency_low_ms"], front["latency_high_ms"], style.MAIN),
        error_y=_bars(front[device.quality], low, high, style.MAIN, 0.3) if search_images else None,
        text=texts,
        hovertemplate="%{text}<extra></extra>",
    )
    _tested(plot, device, front, texts)
    knee = front[front["knee"].astype(bool)]
    if len(knee):
        plot.add_scatter(
            x=knee["latency_ms"],
            y=knee[device.quality],
            mode="markers",
            name="knee",
            marker={"size": 20, "symbol": "circle-open", "color": "#E69F00", "line": {"width": 3}},
            hoverinfo="skip",
        )
    x, y = _window(device, low.min(), high.max())
    if (goal := device.goal_latency_ms) is not None:
        _bound(plot, x, goal, "goal", style.GOAL, "dot", 0.08)
        over = front[front["latency_ms"] > goal]
        plot.add_scatter(
            x=over["latency_ms"],
            y=over[device.quality],
            mode="markers",
            name="slower than the goal: pays for it in what it is judged by",
            marker={"size": 5, "color": "white"},
            hoverinfo="skip",
        )
    if device.max_latency_ms is not None:
        _bound(plot, x, device.max_latency_ms, "limit", "#B3261E", "dash", 0.02)
    plot.update_xaxes(range=x)
    plot.update_yaxes(range=y, tickformat=device.metric.ticks)
    return plot


def _bound(plot: go.Figure, x: list[float], at: float, name: str, colour: str, dash: str, height: float) -> None:
    """A vertical line at a latency, named at that height; the range ``x`` is widened to show it, if that is not far."""
    plot.add_vline(x=at, line={"dash": dash, "color": colour, "width": 2})
    plot.add_annotation(
        x=at, y=height, yref="paper", text=f"{name} {ms(at)} ms", showarrow=False, xanchor="right", xshift=-4,
        font={"color": colour},
    )  # fmt: skip
    x[1] = max(x[1], at * 1.02) if at < 1.6 * x[1] else x[1]


def _unseparated(plot: go.Figure, device: DeviceReport, search: str, search_images: int | None) -> None:
    """Rings around the networks that the data cannot separate from the front."""
    near = unseparated(device, search, search_images)
    if near is None or near.empty:
        return
    plot.add_scatter(
        x=near["latency_ms"],
        y=near[device.quality],
        mode="markers",
        name="not separated from the front by the data",
        marker={"size": 11, "symbol": "circle-open", "color": style.MAIN, "line": {"width": 1}},
        hoverinfo="skip",
    )


def _tested(plot: go.Figure, device: DeviceReport, front: pd.DataFrame, texts: list[str]) -> None:
    """The members that were tested, at their re-measured latency where there is one, else at the predicted one."""
    tested = front[front[device.test_quality].notna() | front["measured_ms"].notna()]
    if tested.empty:
        return
    colour = "#B3261E"
    x = tested["measured_ms"].fillna(tested["latency_ms"])
    y = tested[device.test_quality].fillna(tested[device.quality])
    plot.add_scatter(
        x=x,
        y=y,
        mode="markers",
        name=f"tested: re-measured latency, test {device.metric.title}",
        marker={"size": 10, "symbol": "diamond", "color": "white", "line": {"width": 2, "color": colour}},
        error_x=_bars(x, tested["measured_low_ms"], tested["measured_high_ms"], colour),
        error_y=_bars(y, tested["test_low"], tested["test_high"], colour),
        text=[texts[i] for i in tested.index],
        hovertemplate="%{text}<extra>tested</extra>",
    )


def fronts_figure(devices: tuple[DeviceReport, ...]) -> go.Figure:
    """The fronts of all devices in one plot, over a logarithmic latency axis."""
    title = f"One supernet, {len(devices)} fronts: {listed([escape(device.name) for device in devices])}"
    metric = devices[0].metric
    plot = style.figure(title, "predicted latency of a call (ms, logarithmic)", f"{metric.title}, search split", 440)
    for i, device in enumerate(devices):
        front, colour = device.members, style.DEVICE_COLOURS[i % len(style.DEVICE_COLOURS)]
        plot.add_scatter(
            x=front["latency_ms"],
            y=front[device.quality],
            mode="lines+markers",
            name=escape(device.name),
            line={"color": colour, "shape": "hv"},
            marker={"size": 9, "symbol": style.DEVICE_MARKS[i % len(style.DEVICE_MARKS)], "color": colour},
            error_x=_bars(front["latency_ms"], front["latency_low_ms"], front["latency_high_ms"], colour),
            text=[hover_text(member, device) for _, member in front.iterrows()],
            hovertemplate="%{text}<extra>" + escape(device.name) + "</extra>",
        )
    plot.update_xaxes(type="log", **style.log_ticks(np.concatenate([device.front["latency_ms"] for device in devices])))
    plot.update_yaxes(tickformat=metric.ticks)
    return plot
