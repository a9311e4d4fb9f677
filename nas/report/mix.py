"""Plots of the operators along a front: the share of each family over latency, and every layer of every member."""

from __future__ import annotations

from html import escape

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from nas.report import style
from nas.report.contents import DeviceReport
from nas.report.tables import layers, mixer_family, operator_mix
from nas.report.words import listed, ms, percent


def family_shares(device: DeviceReport) -> pd.DataFrame:
    """Share of each operator family among the layers of each front member, from the fastest member to the slowest.

    Returns:
        Index latency_ms, a column a family that the front uses, in the order of the house's colours; rows sum to 1. Empty
        where no layer chooses a mixer.
    """
    mix = operator_mix(device.front)
    counts = mix.pivot_table(
        index=["latency_ms", "hash"], columns="family", values="count", aggfunc="sum", fill_value=0
    )
    shares = counts.div(counts.sum(axis=1), axis=0).droplevel("hash")
    return shares[[family for family in style.FAMILY_COLOURS if family in shares]]


def share_title(device: DeviceReport, shares: pd.DataFrame) -> str:
    """What the layers of the fastest and of the slowest member are made of."""
    if shares.empty:
        return f"{device.name}: no layer of this front chooses a mixer"
    ends = []
    for at in dict.fromkeys((0, len(shares) - 1)):
        row = shares.iloc[at]
        top = row[row > 0].sort_values(ascending=False, kind="stable")[:3]
        what = listed([f"{percent(share, 0)} {style.FAMILY_LABELS[str(name)]}" for name, share in top.items()])
        ends.append(f"{what} at {ms(float(shares.index[at]))} ms")
    return f"{device.name}: layers are {', '.join(ends)}"


def share_figure(device: DeviceReport) -> go.Figure:
    """Stacked shares of the operator families over a latency limit: those of the slowest member within it."""
    shares = family_shares(device)
    axes = ("latency limit of a call (ms, logarithmic)", "layers of the slowest member within it")
    plot = style.figure(escape(share_title(device, shares)), *axes, 420)
    latencies = shares.index.to_numpy(dtype=float)
    if len(shares) == 0:
        return plot
    end = latencies[-1] * max(latencies[-1] / latencies[0], 1.5) ** 0.06  # the last one needs a width
    for name in shares:
        family, share = str(name), shares[name].to_numpy()
        plot.add_scatter(
            x=[*latencies, end],
            y=[*share, share[-1]],
            mode="lines",
            stackgroup="layers",
            name=style.FAMILY_LABELS[family],
            line={"shape": "hv", "width": 1, "color": "white"},
            fillcolor=style.FAMILY_COLOURS[family],
            hovertemplate="%{y:.0%} from %{x:.3g} ms<extra>" + style.FAMILY_LABELS[family] + "</extra>",
        )
    plot.add_scatter(
        x=latencies,
        y=[1.0] * len(latencies),
        mode="markers",
        name="front member",
        marker={"symbol": "line-ns-open", "size": 12, "color": style.MAIN, "line": {"width": 2}},
        cliponaxis=False,
        hoverinfo="skip",
    )
    ends = [float(np.log10(latencies[0])), float(np.log10(end))]
    plot.update_xaxes(type="log", range=ends, showgrid=False, **style.log_ticks(latencies))
    plot.update_yaxes(range=[0, 1], tickformat=".0%", showgrid=False)
    return plot


def mix_title(device: DeviceReport) -> str:
    """Which families fill the layers of the front, in per cent of all its layers."""
    counts = operator_mix(device.front).groupby("family")["count"].sum().sort_values(ascending=False, kind="stable")
    if counts.empty:
        return f"{device.name}: no layer of this front chooses a mixer"
    total = counts.sum()
    shares = [
        f"{percent(times / total, 0)} {style.FAMILY_LABELS.get(str(name), str(name))}" for name, times in counts.items()
    ]
    return f"{device.name}: the layers of the front are {listed(shares)}"


def mix_figure(device: DeviceReport) -> go.Figure:
    """Every layer of every front member, a column a stage, from the fastest member (top) to the slowest (bottom)."""
    front = device.members
    found = [layers(str(genes)) for genes in front["genes"]]
    stages = sorted({layer.stage for member in found for layer in member}) or [1]
    names = [f"{ms(row['latency_ms'])} ms · {escape(str(row['hash'])[:6])}" for _, row in front.iterrows()]
    plot = make_subplots(
        cols=len(stages),
        shared_yaxes=True,
        horizontal_spacing=0.015,
        column_titles=[f"stage {stage}" for stage in stages],
    )
    shown: set[str] = set()
    for column, stage in enumerate(stages, 1):
        placed = [[layer for layer in member if layer.stage == stage] for member in found]
        for depth in range(max((len(member) for member in placed), default=0)):
            for family, colour in style.FAMILY_COLOURS.items():
                rows = [i for i, m in enumerate(placed) if len(m) > depth and mixer_family(m[depth].mixer) == family]
                if not rows:
                    continue
                at = [placed[i][depth] for i in rows]
                plot.add_bar(
                    y=[names[i] for i in rows],
                    x=[1] * len(rows),
                    base=[depth] * len(rows),
                    orientation="h",
                    name=style.FAMILY_LABELS[family],
                    legendgroup=family,
                    showlegend=family not in shown,
                    marker={"color": colour, "line": {"color": "white", "width": 2}},
                    text=[escape(layer.mixer) for layer in at],
                    textposition="inside",
                    insidetextanchor="middle",
                    textangle=0,
                    textfont={"color": "black" if family in ("linear attention", "other") else "white", "size": 12},
                    hovertext=[f"stage {x.stage}.{x.layer}: {escape(x.mixer)} {escape(x.sizes)}" for x in at],
                    hovertemplate="%{y}<br>%{hovertext}<extra></extra>",
                    row=1,
                    col=column,
                )
                shown.add(family)
    height = 150 + 26 * len(front)
    plot.update_layout(
        template=style.TEMPLATE, title_text=escape(mix_title(device)), barmode="overlay",
        bargap=0.15, height=height,
        uniformtext={"minsize": 8, "mode": "hide"}, margin={"t": 92, "b": 50},
        legend={"y": -20 / (height - 142)},
    )  # fmt: skip
    plot.update_xaxes(showticklabels=False, ticks="", showgrid=False)
    plot.update_yaxes(categoryorder="array", categoryarray=names[::-1], showgrid=False, ticks="")
    return plot
