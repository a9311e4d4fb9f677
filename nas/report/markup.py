"""Pieces of HTML: tables, definition lists and plots. Every text that comes in is escaped here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from nas.metric import Metric
from nas.report import style
from nas.report.contents import DeviceReport
from nas.report.goal import standing
from nas.report.tables import by_stage, hypervolume_summary, input_size, mixer_family, short_mixers
from nas.report.words import UNKNOWN, between, count, known, ms, plain, search_label

# plotly.js offers by default to upload a plot to a service; a report never leaves the machine by itself
_CONFIG = {
    "displaylogo": False,
    "showSendToCloud": False,
    "plotlyServerURL": "",
    "responsive": True,
    "modeBarButtonsToRemove": ["lasso2d", "select2d"],
}


def plot(figure: go.Figure, name: str, caption: str) -> str:
    """A plot between its title and a caption; ``name`` becomes the id of its element and must be unique on the page."""
    title = str(figure.layout.title.text)  # already escaped, as every text in a figure is
    bare = go.Figure(figure)  # the page wraps the title where the screen is narrow, which plotly does not
    bare.update_layout(title_text=None, margin_t=max((figure.layout.margin.t or 64) - 32, 32))
    drawn = bare.to_html(full_html=False, include_plotlyjs=False, include_mathjax=False, div_id=name, config=_CONFIG)
    # role=group, not img: the buttons and legend inside stay reachable
    return (
        f'<figure><p class="finding">{title}</p><div class="plot" role="group" aria-label="Plot: {title}">{drawn}</div>'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )


def pairs(values: Mapping[str, Any], kind: str = "pairs") -> str:
    """A definition list; ``kind`` is its class."""
    items = "".join(f"<div><dt>{escape(str(k))}</dt><dd>{escape(plain(v))}</dd></div>" for k, v in values.items())
    return f'<dl class="{kind}">{items}</dl>'


def flat(values: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Nested mappings as one, the keys joined by a space."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        name = f"{before} {key}".strip().replace("_", " ")
        found.update(flat(value, name) if isinstance(value, Mapping) else {name: value})
    return found


def table(
    caption: str,
    heads: Sequence[str],
    rows: Sequence[Sequence[str]],
    marked: Sequence[bool] = (),
    kind: str = "sortable",
) -> str:
    """A table of ready cells (see `cell`) that its headings sort; ``marked`` rows are highlighted."""
    head = "".join(f'<th scope="col"><button type="button">{escape(h)}</button></th>' for h in heads)
    body = ""
    for i, row in enumerate(rows):
        body += f"<tr{' class=knee' if i < len(marked) and marked[i] else ''}>{''.join(row)}</tr>\n"
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(caption)}">'
        f'<table class="{kind}"><caption>{escape(caption)}</caption>'
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody></table></div>"
    )


def cell(text: str, value: Any = None, note: str = "", kind: str = "") -> str:
    """One cell: ``value`` is what it sorts by ('' last), ``note`` a second, quieter line."""
    sort = "" if value is None or (isinstance(value, float) and not known(value)) else escape(str(value))
    quiet = f' <span class="of">{escape(note)}</span>' if note else ""
    return f'<td data-value="{sort}"{f" class={kind!r}" if kind else ""}>{escape(text)}{quiet}</td>'


def _latency(value: float, low: float, high: float) -> str:
    """A latency with its interval below."""
    if not known(value):
        return cell("not measured")
    return cell(ms(value), value, f"{ms(low)} to {ms(high)}" if known(low) and known(high) else "no interval")


def _against(member: Any, device: DeviceReport) -> list[str]:
    """How a member stands to the goal and what it is judged by; no cell without a goal."""
    if device.goal_latency_ms is None:
        return []
    charged = getattr(member, f"charged_{device.quality}", float("nan"))
    note = f"counts as {device.metric.text(charged)}" if known(charged) else ""
    return [cell(standing(member, device.goal_latency_ms), member.latency_ms, note)]


def _tested(value: float, low: float, high: float, metric: Metric) -> str:
    if not known(value):
        return cell("not tested")
    note = between(low, high, metric, " to ") if known(low) and known(high) else "no interval"
    return cell(metric.text(value), value, note)


def _mixers(genes: str) -> str:
    """The mixers of an architecture in the colours of their families, stage by stage."""
    stages = []
    for mixers in by_stage(genes).values():
        keys = ""
        for mixer in mixers:
            family = mixer_family(mixer)
            dark = "; color: black" if family in ("linear attention", "other") else ""
            colour = f"background: {style.FAMILY_COLOURS[family]}{dark}"
            label = escape(style.FAMILY_LABELS[family])
            keys += f'<span class="key" style="{colour}" title="{label}">{escape(mixer)}</span>'
        stages.append(keys)
    return f'<td class="text wide" data-value="{escape(short_mixers(genes))}">{" / ".join(stages)}</td>'


def front_html(device: DeviceReport) -> str:
    """The front as a sortable table; the knee is highlighted."""
    heads = (
        "architecture",
        f"{device.metric.title}, search split",
        f"{device.metric.title}, test (95 %)",
        "predicted ms (90 %)",
        *(["against the goal"] if device.goal_latency_ms is not None else []),
        "re-measured ms",
        "off by",
        "MACs",
        "parameters",
        "input",
        "mixers, stage by stage",
    )
    rows, marked = [], []
    members: Iterable[Any] = device.members.itertuples()
    for member in members:
        chosen = getattr(member, device.quality)
        off = (
            (member.latency_ms - member.measured_ms) / member.measured_ms if known(member.measured_ms) else float("nan")
        )
        rows.append(
            [
                f'<td class="text" data-value="{escape(str(member.hash))}"><code>{escape(str(member.hash))}</code>'
                f"{' <span class=of>knee</span>' if member.knee else ''}</td>",
                cell(device.metric.text(chosen), chosen),
                _tested(getattr(member, device.test_quality), member.test_low, member.test_high, device.metric),
                _latency(member.latency_ms, member.latency_low_ms, member.latency_high_ms),
                *_against(member, device),
                _latency(member.measured_ms, member.measured_low_ms, member.measured_high_ms),
                cell(f"{100 * off:+.1f} %" if known(off) else UNKNOWN, off),
                cell(count(member.macs), member.macs),
                cell(count(member.parameters), member.parameters),
                cell(*input_size(member)),
                _mixers(str(member.genes)),
            ]
        )
        marked.append(bool(member.knee))
    return table(f"Pareto front of {device.name}, {len(rows)} in all", heads, rows, marked, "sortable front")


def hypervolume_html(hypervolumes: pd.DataFrame, search: str) -> str:
    """Final hypervolume of the search and of each control over seeds; '' without any."""
    rows = []
    finals: Iterable[Any] = hypervolume_summary(hypervolumes).itertuples()
    for row in finals:
        label = search_label(str(row.search), search)
        ratio = cell(f"{row.ratio_to_random:.3f}" if known(row.ratio_to_random) else UNKNOWN, row.ratio_to_random)
        spread = [cell(f"{v:#.5g}" if known(v) else UNKNOWN, v) for v in (row.mean, row.std, row.min, row.max)]
        rows.append(
            [
                cell(label, label),
                *spread,
                ratio,
                cell(str(row.seeds), row.seeds),
                cell(str(row.evaluations), row.evaluations),
            ]
        )
    heads = ("search", "mean", "std", "min", "max", "ratio to random", "seeds", "evaluations")
    return table("Hypervolume at the end of each search, over seeds", heads, rows) if rows else ""
