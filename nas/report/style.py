"""How plots look: one colour an operator family, one colour and mark a search, one light template.

Colours are those of Okabe and Ito (2008), told apart by every common kind of colour vision; a second cue (mark, dash or
written name) goes with each. The single-family searches wear the colour of their family.
"""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

FAMILY_COLOURS = {
    "conv": "#0072B2",
    "attention": "#D55E00",
    "linear attention": "#E69F00",
    "ssm": "#009E73",
    "mlp": "#CC79A7",
    "other": "#9AA0A6",
}
FAMILY_LABELS = {
    "conv": "convolution",
    "attention": "attention",
    "linear attention": "linear attention",
    "ssm": "state space",
    "mlp": "MLP",
    "other": "identity",
}
MAIN = "#1F2430"
GOAL = "#8A5A00"
SEARCH_COLOURS = {
    "random": "#8A8F98",
    "local-search": "#56B4E9",
    "conv": FAMILY_COLOURS["conv"],
    "attention": FAMILY_COLOURS["attention"],
    "ssm": FAMILY_COLOURS["ssm"],
    "no-ssm": "#CC79A7",
    "linear-attention": FAMILY_COLOURS["linear attention"],
}
_SEARCH_MARKS = {
    "random": "x-thin",
    "local-search": "triangle-down",
    "conv": "square",
    "attention": "triangle-up",
    "ssm": "diamond",
    "no-ssm": "cross",
    "linear-attention": "star",
}
_SEARCH_DASHES = {
    "random": "dot",
    "local-search": "longdash",
    "conv": "dash",
    "attention": "dashdot",
    "ssm": "longdash",
    "no-ssm": "longdashdot",
    "linear-attention": "dashdot",
}
DEVICE_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#1F2430", "#8A8F98")
DEVICE_MARKS = ("circle", "square", "diamond", "triangle-up", "cross", "star", "hexagon", "x")
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif"

_AXIS = {
    "gridcolor": "#E8EAED",
    "linecolor": "#9AA0A6",
    "zeroline": False,
    "ticks": "outside",
    "automargin": True,
    "title": {"font": {"size": 15}, "standoff": 12},
}
TEMPLATE = go.layout.Template(
    layout={
        "font": {"family": FONT, "size": 14, "color": MAIN},
        "title": {
            "font": {"size": 17}, "x": 0, "xref": "container", "xanchor": "left", "pad": {"l": 12, "t": 14},
            "y": 1, "yref": "container", "yanchor": "top",
        },
        "paper_bgcolor": "white",
        "plot_bgcolor": "white",
        "xaxis": _AXIS,
        "yaxis": _AXIS,
        "legend": {"orientation": "h", "yanchor": "top", "y": -0.2, "x": 0, "font": {"size": 13}},
        "margin": {"l": 70, "r": 24, "t": 64, "b": 60},
        "hoverlabel": {"align": "left", "font": {"size": 13}},
        "hovermode": "closest",
    }
)  # fmt: skip


def search_colour(search: str) -> str:
    """The colour of a control, or of the search under test."""
    return SEARCH_COLOURS.get(search, MAIN)


def search_mark(search: str) -> str:
    """The plotly symbol of a search."""
    return _SEARCH_MARKS.get(search, "circle")


def search_dash(search: str) -> str:
    """The plotly dash of a search."""
    return _SEARCH_DASHES.get(search, "solid")


def faded(colour: str, alpha: float) -> str:
    """A '#rrggbb' colour as 'rgba(...)'."""
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{alpha})"


def figure(title: str, x: str, y: str, height: int = 460) -> go.Figure:
    """An empty figure with the house template; ``title`` says what was found."""
    made = go.Figure()
    made.update_layout(template=TEMPLATE, title_text=title, xaxis_title=x, yaxis_title=y, height=height)
    return made


def log_ticks(values: np.ndarray) -> dict:
    """Written-out ticks of a logarithmic axis, where plotly would write single digits; fewer over a wide range."""
    first, last = np.floor(np.log10(values.min())), np.ceil(np.log10(values.max()))
    steps = (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0) if last - first <= 2 else (1.0, 2.0, 5.0)
    at = [step * 10**decade for decade in np.arange(first, last + 1) for step in steps]
    return {"tickvals": at, "ticktext": [f"{tick:g}" for tick in at]}
