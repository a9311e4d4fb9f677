"""What the front agrees on, shown: the values of its genes beside those of a uniform sample of the space."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from nas.report import style
from nas.report.markup import cell, table
from nas.report.tables import mixer_family
from nas.report.words import percent, plural

SHOWN = 24  # genes in the plot: those that most members use
CHARACTERS = 46  # that a whole bar holds on a common screen
SIZES = ("#D6DCE5", "#A9B4C4", "#7C8CA3", "#556680", "#33435C")  # from the first value of a gene to the last
DECIDED, OPEN = style.MAIN, "#C3C8D0"


def agreement_title(agreed: pd.DataFrame, name: str) -> str:
    """How many genes the front is surely of one mind about."""
    decided = int(agreed["decided"].sum())
    return (
        f"{name}: beyond chance, the front agrees on {decided or 'none'} of the {plural(len(agreed), 'gene')} it uses"
    )


def agreement_figure(genes: pd.DataFrame, agreed: pd.DataFrame, name: str) -> go.Figure:
    """Shares of each gene's values on the front and in the sample, and how much of the entropy is gone.

    Args:
        genes: see `nas.report.genes.gene_counts`.
        agreed: what `nas.report.genes.agreement` makes of it.
        name: of the device.
    """
    shown = agreed.loc[np.sort(np.argsort(-agreed["members"].to_numpy(), kind="stable")[:SHOWN])]
    plot = make_subplots(
        cols=3, shared_yaxes=True, horizontal_spacing=0.02, column_widths=[0.4, 0.4, 0.2],
        column_titles=["front", "uniform sample of the space", "entropy gone"],
    )  # fmt: skip
    labels = [f"{escape(str(gene))} ({members})" for gene, members in zip(shown["gene"], shown["members"], strict=True)]
    by_gene = {str(gene): values.reset_index(drop=True) for gene, values in genes.groupby("gene", sort=False)}
    tables = [by_gene[str(gene)] for gene in shown["gene"]]
    for column, counted in enumerate(("front", "sampled"), 1):
        for place in range(max((len(values) for values in tables), default=0)):
            rows = [i for i, values in enumerate(tables) if len(values) > place and values[counted][place] > 0]
            if not rows:
                continue
            texts = [escape(str(tables[i]["value"][place])) for i in rows]
            shares = [tables[i][counted][place] / tables[i][counted].sum() for i in rows]
            fits = [len(text) + 1 < CHARACTERS * share for text, share in zip(texts, shares, strict=True)]
            colours = [_colour(str(shown["gene"].iloc[i]), tables[i]["value"], place) for i in rows]
            plot.add_bar(
                y=[labels[i] for i in rows],
                x=shares,
                orientation="h",
                showlegend=False,
                marker={"color": [back for back, _ in colours], "line": {"color": "white", "width": 1}},
                text=[text if fit else "" for text, fit in zip(texts, fits, strict=True)],
                hovertext=texts,
                textposition="inside",
                insidetextanchor="middle",
                textangle=0,
                textfont={"color": [front for _, front in colours], "size": 12},
                hovertemplate="%{y}<br>%{hovertext}: %{x:.0%}<extra></extra>",
                row=1,
                col=column,
            )
    plot.add_bar(
        y=labels,
        x=shown["reduction"].clip(lower=0),
        orientation="h",
        showlegend=False,
        marker={"color": [DECIDED if decided else OPEN for decided in shown["decided"]]},
        text=[percent(max(share, 0.0), 0) for share in shown["reduction"]],
        textposition="outside",
        cliponaxis=False,
        hovertemplate="%{y}<br>%{x:.0%} of the entropy of the space<extra></extra>",
        row=1,
        col=3,
    )
    plot.update_layout(
        template=style.TEMPLATE, title_text=escape(agreement_title(agreed, name)), barmode="stack", bargap=0.2,
        height=130 + 26 * len(shown), uniformtext={"minsize": 9, "mode": "hide"}, margin={"t": 92, "b": 30},
    )  # fmt: skip
    plot.update_xaxes(range=[0, 1], showticklabels=False, ticks="", showgrid=False)
    plot.update_xaxes(range=[0, 1.3], col=3)  # room for the numbers
    plot.update_yaxes(categoryorder="array", categoryarray=labels[::-1], showgrid=False, ticks="", ticklabelstandoff=6)
    return plot


def _colour(gene: str, values: pd.Series, place: int) -> tuple[str, str]:
    """Colours of a bar and of its text: mixers wear their family's, the values of other genes go from light to dark."""
    if gene.endswith(".mixer"):
        family = mixer_family(str(values[place]))
        return style.FAMILY_COLOURS[family], "black" if family in ("linear attention", "other") else "white"
    step = round(place / max(len(values) - 1, 1) * (len(SIZES) - 1))
    return SIZES[step], "black" if step < 2 else "white"


def agreement_html(agreed: pd.DataFrame) -> str:
    """Every gene that the front uses, as a folded table that its headings sort."""
    rows = []
    genes: Iterable[Any] = agreed.itertuples()
    for row in genes:
        rows.append(
            [
                cell(row.gene, row.gene, kind="text"),
                cell(str(row.members), row.members),
                cell(row.favourite, row.favourite, kind="text"),
                *(cell(percent(value, 0), f"{value:.6f}") for value in (row.share, row.sampled, row.reduction)),
                cell("decided" if row.decided else "open", row.decided, kind="text"),
            ]
        )
    heads = ("gene", "members that use it", "their favourite", "share", "in the sample", "entropy gone", "verdict")
    listing = table("Genes of the front, the most decided first", heads, rows)
    return f"<details><summary>All {plural(len(agreed), 'gene')} that the front uses</summary>{listing}</details>"
